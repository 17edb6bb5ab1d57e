"""The engine: what it tells logs, how long it lets things last, how it reads DATABASE_URL."""

import asyncio
import traceback
from contextlib import AbstractContextManager, nullcontext

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from core import database
from core.config import config
from core.database import before_commit, connect, engine, transaction
from core.ids import new_id
from core.tenancy import bound_to
from models.contacts import Contact
from tests.support.factories import Team

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


async def test_giving_up_the_rights_of_the_login_takes_no_round_trip() -> None:
    sent: list[str] = []
    app_id = new_id()
    with bound_to(app_id):
        async with transaction() as session:
            connection = await (await session.connection()).get_raw_connection()
            connection.driver_connection.add_query_logger(lambda record: sent.append(record.query))
            await session.execute(sa.text("SELECT 1"))
    await asyncio.sleep(0)  # asyncpg tells its listeners in the next turn of the loop
    begin = f"BEGIN; SET LOCAL ROLE replyhq_tenant; SET LOCAL replyhq.app_id = '{app_id.hex}';"
    assert [query for query in sent if not query.startswith("SELECT")] == [begin, "COMMIT;"]


async def test_a_step_before_the_commit_runs_last_when_all_changes_are_with_the_database(team: Team) -> None:
    seen: list[str] = []

    async def look(session: AsyncSession) -> None:
        seen.append(f"{await session.scalar(sa.select(Contact.name).where(Contact.id == person.id))}")

    person = Contact(id=new_id(), app_id=team.app_id, name="Ada")
    async with transaction() as session:
        before_commit(session, look)
        before_commit(session, look)
        session.add(person)
        assert seen == []
    assert seen == ["Ada", "Ada"]


async def test_a_step_that_fails_leaves_nothing_and_one_of_a_transaction_that_ended_does_not_run(team: Team) -> None:
    seen: list[str] = []

    async def fail(session: AsyncSession) -> None:
        seen.append("failed")
        raise LookupError

    async def add() -> None:
        async with transaction() as session:
            session.add(person)
            before_commit(session, fail)

    person = Contact(id=new_id(), app_id=team.app_id)
    with pytest.raises(LookupError):
        await add()
    async with transaction() as session:
        assert await session.get(Contact, person.id) is None
        before_commit(session, fail)
        await session.rollback()
    assert seen == ["failed"]


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
