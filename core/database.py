"""PostgreSQL: one engine a process, `transaction()` around one unit of work, `on_commit()` for what must follow it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import orjson
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from core.config import config

log = structlog.get_logger(__name__)
Hook = Callable[[], Awaitable[None]]
_HOOKS = "on_commit"


def connect(settings: dict[str, str], **options: Any) -> AsyncEngine:
    """A new engine for DATABASE_URL; every one in the product is made here.

    Args:
        settings: PostgreSQL's, for each of its sessions, as `SET` takes them.
        options: of `create_async_engine`.
    """
    return create_async_engine(
        _url(config().database_url),
        # a failing statement must not write its parameters, names and password hashes among them, into logs
        hide_parameters=True,
        # JSONB writes large numbers out digit by digit; orjson reads them as the floats that they were
        json_deserializer=orjson.loads,
        connect_args={"server_settings": {"application_name": "replyhq", "jit": "off"} | settings},
        **options,
    )


def _url(text: str) -> sa.URL:
    """`text` for asyncpg, which calls libpq's `sslmode` by another name and with the same values `ssl`."""
    url = sa.make_url(text)
    if url.drivername in {"postgres", "postgresql"}:
        url = url.set(drivername="postgresql+asyncpg")
    mode = url.query.get("sslmode")
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode}) if mode else url


@cache
def engine() -> AsyncEngine:
    """The engine of this process, made at first use. It belongs to the event loop that first uses it."""
    return connect(
        _time_limits(),
        pool_size=config().database_pool,
        max_overflow=config().database_overflow,
        pool_pre_ping=True,
    )


def _time_limits() -> dict[str, str]:
    seconds = {
        "statement_timeout": config().statement_seconds,
        "lock_timeout": config().lock_seconds,
        "idle_in_transaction_session_timeout": config().idle_transaction_seconds,
    }
    return {name: f"{limit * 1000:.0f}ms" for name, limit in seconds.items()}


async def dispose() -> None:
    """Close all connections; the next use opens new ones."""
    await engine().dispose()
    engine.cache_clear()


@asynccontextmanager
async def transaction() -> AsyncIterator[AsyncSession]:
    """A session whose work is committed at the end of the block, or rolled back when the block raises.

    Rules get the session and never commit. Hooks given to `on_commit` run after the commit.
    """
    async with AsyncSession(engine(), expire_on_commit=False) as session:
        async with session.begin():
            yield session
        await _run_hooks(session)


def on_commit(session: AsyncSession, hook: Hook) -> None:
    """Run `hook` once this session's transaction has committed; never when it rolls back."""
    session.info.setdefault(_HOOKS, []).append(hook)


async def _run_hooks(session: AsyncSession) -> None:
    """What was committed stands whatever a hook does: hooks only wake and tell, and the clock repairs a lost wake."""
    for hook in session.info.pop(_HOOKS, ()):
        try:
            await hook()
        except Exception:
            log.warning("on_commit hook failed", exc_info=True)
