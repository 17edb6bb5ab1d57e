"""PostgreSQL: one engine a process, `transaction()` around one unit of work, `on_commit()` for what must follow it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from core.config import config

log = structlog.get_logger(__name__)
Hook = Callable[[], Awaitable[None]]
_HOOKS = "on_commit"


def async_url(url: str) -> str:
    """`url` with the driver that the engine needs: postgres:// and postgresql:// become postgresql+asyncpg://."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+asyncpg://{rest}" if scheme in {"postgres", "postgresql"} else url


@cache
def engine() -> AsyncEngine:
    """The engine of this process, made at first use. It belongs to the event loop that first uses it."""
    return create_async_engine(
        async_url(config().database_url),
        pool_size=config().database_pool,
        max_overflow=config().database_overflow,
        pool_pre_ping=True,
        connect_args={"server_settings": {"application_name": "replyhq", "jit": "off"}},
    )


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
        except Exception as error:  # noqa: BLE001
            log.warning("on_commit hook failed", error=type(error).__name__)
