"""The engine: what it tells logs, how long it lets things last, how it reads DATABASE_URL."""

import traceback
from contextlib import AbstractContextManager, nullcontext

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from core import database
from core.config import config
from core.database import connect, engine, transaction

CANARY = "canary-5f2c"


async def test_a_failing_statement_does_not_tell_its_parameters() -> None:
    with pytest.raises(DBAPIError) as failure:
        async with transaction() as session:
            await session.execute(sa.text("SELECT CAST(:name AS text), 1 / (length(:name) - :size)"), _parameters())
    told = "".join(traceback.format_exception(failure.value))
    assert "division by zero" in told
    assert CANARY not in told


def _parameters() -> dict[str, object]:
    return {"name": CANARY, "size": len(CANARY)}


async def test_nothing_lasts_for_ever() -> None:
    async with transaction() as session:
        limits = {
            name: await session.scalar(sa.text(f"SHOW {name}"))
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        }
    assert limits == {
        "statement_timeout": "15s",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "30s",
    }


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])
@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_sslmode_is_asyncpgs_ssl(scheme: str, mode: str) -> None:
    url = database._url(f"{scheme}://u:p%40ss@db:5433/replyhq?sslmode={mode}&target_session_attrs=any")
    assert url.drivername == "postgresql+asyncpg"
    assert (url.password, url.host, url.port, url.database) == ("p@ss", "db", 5433, "replyhq")
    assert dict(url.query) == {"ssl": mode, "target_session_attrs": "any"}


@pytest.mark.parametrize(
    ("mode", "outcome"),
    [
        ("disable", nullcontext()),
        ("prefer", nullcontext()),
        ("require", pytest.raises(ConnectionError, match="SSL")),
    ],
)
async def test_asyncpg_takes_it(
    monkeypatch: pytest.MonkeyPatch, mode: str, outcome: AbstractContextManager[object]
) -> None:
    """The embedded server speaks no TLS, so what requires it is refused for that."""
    changed = config().model_copy(update={"database_url": f"{config().database_url}?sslmode={mode}"})
    monkeypatch.setattr(database, "config", lambda: changed)
    made = connect({})
    with outcome:
        async with made.connect() as connection:
            assert await connection.scalar(sa.text("SELECT 1")) == 1
    await made.dispose()


def test_every_engine_hides_parameters() -> None:
    assert engine().sync_engine.hide_parameters
