"""PostgreSQL: one engine a process, `transaction()` around one unit of work, two hooks for its end."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from operator import itemgetter
from typing import Any

import asyncpg
import orjson
import sqlalchemy as sa
import structlog
from asyncpg.exceptions import InsufficientPrivilegeError, InvalidParameterValueError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from core import outages
from core.config import config
from core.tenancy import SERVICE, TENANT, MissingRights, entrance

log = structlog.get_logger(__name__)
Hook = Callable[[], Awaitable[None]]
Step = Callable[[AsyncSession], Awaitable[None]]
_HOOKS = "on_commit"
_STEPS = "before_commit"
_ACROSS_APPS = "across_apps"


class WalledConnection(asyncpg.Connection):
    """A connection that gives up the rights of its login whenever a transaction begins.

    It does so in the message that says BEGIN: a transaction takes no round trip more.

    Attributes:
        entrance: what the next transaction begins with, as `core.tenancy.entrance` gives it. A ping has none.
    """

    entrance = ""

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:  # noqa: ASYNC109
        """As asyncpg's, by which its transactions begin.

        Raises:
            MissingRights: the login may not act as the role. The connection is closed by then.
        """
        if not query.startswith("BEGIN"):
            return await super().execute(query, *args, timeout=timeout)
        query, self.entrance = f"{query} {self.entrance}", ""
        try:
            return await super().execute(query, timeout=timeout)
        except (InsufficientPrivilegeError, InvalidParameterValueError) as error:
            raise MissingRights(await self._way_out(error)) from error

    async def _way_out(self, error: asyncpg.PostgresError) -> str:
        await super().execute("ROLLBACK")
        login = await self.fetchval("SELECT quote_ident(session_user)")
        await self.close()
        if isinstance(error, InvalidParameterValueError):
            return f"The database has no roles {TENANT} and {SERVICE}. Run `replyhq migrate` first."
        return f"The database's administrator must run: GRANT {TENANT}, {SERVICE} TO {login}"


def connect(settings: dict[str, str], **options: Any) -> AsyncEngine:
    """A new engine for DATABASE_URL; every one in the product is made here.

    Args:
        settings: PostgreSQL's, for each of its sessions, as `SET` takes them.
        options: of `create_async_engine`. A `connection_class` among them is asyncpg's.
    """
    kind = options.pop("connection_class", asyncpg.Connection)
    return create_async_engine(
        _url(config().database_url),
        # a failing statement must not write its parameters, names and password hashes among them, into logs
        hide_parameters=True,
        # JSONB writes large numbers out digit by digit; orjson reads them as the floats that they were
        json_deserializer=orjson.loads,
        connect_args={
            "server_settings": {"application_name": "replyhq", "jit": "off"} | settings,
            "connection_class": kind,
        },
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
    made = connect(
        _time_limits(),
        connection_class=WalledConnection,
        pool_size=config().database_pool,
        max_overflow=config().database_overflow,
        pool_pre_ping=True,
    )
    sa.event.listen(made.sync_engine, "begin", _enter)
    return made


def _enter(connection: sa.Connection) -> None:
    """Tell the connection what to begin with; BEGIN itself is sent with the first statement."""
    raw: Any = connection.connection.driver_connection
    raw.entrance = entrance(across_apps=_ACROSS_APPS in connection.get_execution_options())


@cache
def _across_apps() -> AsyncEngine:
    """The same engine, for transactions that reach the rows of all apps wherever they are opened."""
    return engine().execution_options(**{_ACROSS_APPS: True})


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
    _across_apps.cache_clear()


@asynccontextmanager
async def transaction(*, across_apps: bool = False) -> AsyncIterator[AsyncSession]:
    """A session whose work is committed at the end of the block, or rolled back when the block raises.

    Rules get the session and never commit. Hooks given to `on_commit` run after the commit.

    Args:
        across_apps: reach the rows of all apps from inside a GraphQL operation, which is bound to one (see
            `core.tenancy.bound_to`). For work that is no app's by nature: proving who somebody is, a person's own
            account, statements that answer askers of several apps at once.

    Raises:
        MissingRights: the database's administrator has to grant something first.
        Unavailable: PostgreSQL cannot be reached, went away meanwhile, or was too slow.
    """
    async with AsyncSession(_across_apps() if across_apps else engine(), expire_on_commit=False) as session:
        with outages.told():
            async with session.begin() as begun:
                yield session
                if begun.is_active:
                    await _run_steps(session)
        await _run_hooks(session)


def is_across_apps(session: AsyncSession) -> bool:
    """Whether the session's `transaction` was asked to reach all apps."""
    return _ACROSS_APPS in session.get_bind().get_execution_options()


def before_commit(session: AsyncSession, step: Step, *, last: bool = False) -> None:
    """Run `step` as the last thing of this session's transaction, when all its changes are with the database.

    What locks a row that many want is to be `last`: it is held for the commit alone. When a step fails, nothing is
    committed.
    """
    session.info.setdefault(_STEPS, []).append((last, step))


async def _run_steps(session: AsyncSession) -> None:
    if steps := session.info.pop(_STEPS, ()):
        await session.flush()
    for _, step in sorted(steps, key=itemgetter(0)):
        await step(session)


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
