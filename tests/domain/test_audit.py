"""The audit log: what an entry shows, who can change it (nobody), how long it is kept."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from core.clock import now
from core.config import config
from core.database import transaction
from core.errors import Invalid, Unavailable
from core.ids import new_id
from domain.audit import entries, keeping, listing
from domain.audit.listing import Filter
from domain.principals import SYSTEM
from models.audit import AuditEntry
from models.base import Model
from tests.support.factories import Team
from tests.support.plans import explained

DAY = timedelta(days=1)
NOON = datetime.fromisoformat("2026-06-01T12:00:00+00:00")
NAMED = re.compile(r"hash|secret|token|password")
NO_SECRET = {"idempotency_keys.request_hash": "tells whether two requests are the same, and nothing of what they say"}


@pytest.fixture
async def raw(database: None) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the login itself, which owns the tables and so may do most."""
    connection = await asyncpg.connect(config().database_url)
    yield connection
    await connection.close()


async def months(raw: asyncpg.Connection) -> set[str]:
    """The partitions, as `2026_11`."""
    found = await raw.fetch(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_entries'::regclass"
    )
    return {row[0].removeprefix("audit_entries_") for row in found} - {"default"}


def month(at: datetime) -> str:
    return f"{at:%Y_%m}"


def ahead(at: datetime, count: int) -> str:
    years, index = divmod(at.month - 1 + count, 12)
    return f"{at.year + years:04}_{index + 1:02}"


async def test_there_is_room_for_this_month_and_the_next_twelve(raw: asyncpg.Connection) -> None:
    last = ahead(now(), 12)
    await raw.execute(f'DROP TABLE IF EXISTS "audit_entries_{last}"')
    async with transaction() as session:
        await keeping.keep(session)
    assert {ahead(now(), count) for count in range(13)} <= await months(raw)


async def test_a_month_goes_when_all_of_it_is_older_than_90_days(raw: asyncpg.Connection) -> None:
    edge = now() - 90 * DAY
    before = edge.replace(day=1) - DAY
    for at in (edge, before, now() - 900 * DAY):
        await raw.execute("SELECT audit_make_month($1)", at)
    async with transaction() as session:
        assert await keeping.keep(session) == 2
    kept = await months(raw)
    assert month(edge) in kept
    assert {month(before), month(now() - 900 * DAY)} & kept == set()
    async with transaction() as session:
        assert await keeping.keep(session) == 0


async def test_one_keeps_at_a_time() -> None:
    async with transaction() as one, transaction() as other:
        await keeping.keep(one)
        assert await keeping.keep(other) == 0


async def test_who_keeps_does_not_wait_for_those_who_write(raw: asyncpg.Connection) -> None:
    """While it waited, nobody else could write an entry."""
    last = ahead(now(), 12)
    await raw.execute(f'DROP TABLE IF EXISTS "audit_entries_{last}"')
    async with raw.transaction():
        await raw.execute("LOCK TABLE audit_entries IN ROW EXCLUSIVE MODE")
        with pytest.raises(Unavailable):
            async with transaction() as session:
                await keeping.keep(session)
    async with transaction() as session:
        await keeping.keep(session)
    assert last in await months(raw)


CHANGES = ("UPDATE {} SET action = 'x'", "DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET action = 'x' WHERE false")


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("where", ["parent", "month", "default", "new month"])
async def test_not_even_the_owner_of_the_table_changes_an_entry(
    raw: asyncpg.Connection, team: Team, change: str, where: str
) -> None:
    tables = {
        "parent": "audit_entries",
        "month": f"audit_entries_{month(now())}",
        "default": "audit_entries_default",
        "new month": f"audit_entries_{ahead(now(), 30)}",
    }
    if where == "new month":
        first = datetime.strptime(ahead(now(), 30), "%Y_%m").replace(tzinfo=UTC)
        await raw.execute("SELECT audit_make_month($1)", first)
    await entered(team)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="the audit log is append-only"):
        await raw.execute(change.format(tables[where]))


@pytest.mark.parametrize("change", [*CHANGES, "DROP TABLE {}"])
async def test_the_product_may_not_even_try(change: str) -> None:
    with pytest.raises(sa.exc.DBAPIError, match=r"permission denied|must be owner"):
        async with transaction() as session:
            await session.execute(sa.text(change.format("audit_entries")))


async def entered(team: Team, action: str = "test.made", at: datetime | None = None, **fields: Any) -> AuditEntry:
    """An entry of the app."""
    given = {"actor": SYSTEM.actor, "entity": "Test"} | fields
    entry = AuditEntry(id=new_id(), app_id=team.app_id, action=action, created_at=at or now(), **given)
    async with transaction() as session:
        session.add(entry)
    return entry


COLUMNS = [column for table in Model.metadata.sorted_tables for column in table.columns]
SECRETS = [one for one in COLUMNS if one.info.get("secret")]


def test_a_column_named_like_a_secret_says_that_it_is_one() -> None:
    named = [one for one in COLUMNS if NAMED.search(one.name) and isinstance(one.type, sa.Text)]
    assert [str(one) for one in named if one not in SECRETS and str(one) not in NO_SECRET] == []
    assert set(NO_SECRET) - {str(one) for one in named} == set()


@pytest.mark.parametrize("mapper", list(Model.registry.mappers), ids=lambda mapper: mapper.class_.__name__)
@pytest.mark.parametrize("length", [1, 5_000])
async def test_an_entry_never_shows_what_is_secret_or_personal(mapper: sa.orm.Mapper, length: int) -> None:
    hidden = [
        name for name, column in mapper.columns.items() if column.info.get("secret") or column.info.get("personal")
    ]
    row = mapper.class_(**{name: shape(mapper.columns[name], "canary" * length) for name in hidden})
    async with transaction() as session:
        session.add(row)
        made = entries.change_of(session, row)
        session.expunge(row)
        sa.orm.make_transient_to_detached(row)
        session.add(row)
        for name in hidden:
            setattr(row, name, shape(mapper.columns[name], "canary again"))
        changed = entries.change_of(session, row)
        await session.delete(row)
        deleted = entries.change_of(session, row)
        session.expunge_all()
    assert "canary" not in json.dumps([made, changed, deleted])
    assert set((made[1] or {}).values()) <= {entries.MASK}
    assert {name for name in hidden if name not in (changed[1] or {})} == set()


def shape(column: sa.Column, text: str) -> Any:
    """`text` as a value that the column can hold."""
    kind = column.type.python_type
    return {dict: {"key": text}, list: [text]}.get(kind, text)


async def test_long_things_are_cut(team: Team) -> None:
    change = entries.plain({"text": "a" * 501, "list": list(range(51)), "nested": [{"text": "b" * 501}]})
    assert change == {"text": "a" * 500 + "…", "list": list(range(50)), "nested": [{"text": "b" * 500 + "…"}]}


async def found(team: Team, **wanted: Any) -> list[str]:
    async with transaction() as session:
        rows = await session.scalars(listing.matching(team.app_id, Filter(entity="Test", **wanted)))
        return sorted(row.action for row in rows)


async def test_each_part_of_a_filter_narrows(team: Team) -> None:
    person, thing, at = new_id(), new_id(), now()
    for kind in ("user", "key", "device"):
        await entered(team, f"by.{kind}", actor=f"{kind}:{person}")
    await entered(team, "about.thing", entity_id=thing)
    await entered(team, "from.address", ip="2001:db8::1")
    await entered(team, "from.before", at=at - DAY)
    assert await found(team, actor_id=person) == ["by.device", "by.key", "by.user"]
    assert await found(team, entity_id=thing) == ["about.thing"]
    assert await found(team, ip="2001:db8::1") == ["from.address"]
    assert await found(team, until=at) == ["from.before"]
    assert await found(team, since=at - DAY, until=at) == ["from.before"]
    assert await found(team, since=at - DAY + timedelta(microseconds=1), until=at) == []
    assert await found(team, actions=["by.user", "from.before", "nothing"]) == ["by.user", "from.before"]
    assert await found(team, actions=[]) == []
    assert await found(team, actions=["by.user"], ip="2001:db8::1") == []


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"actions": ["a"] * 51}, "filter.actions"),
        ({"actions": ["a", "b\0"]}, "filter.actions.1"),
        ({"ip": " "}, "filter.ip"),
        ({"since": NOON, "until": NOON}, "filter.until"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(wanted: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        listing.matching(new_id(), Filter(**wanted))
    assert refused.value.field == field


async def test_a_page_is_found_by_index_in_the_months_that_are_asked_for(team: Team) -> None:
    since, until = now().replace(day=1, hour=0, minute=0), now()
    newest = sa.desc(AuditEntry.id)
    plan = await explained(listing.matching(team.app_id, Filter(since=since, until=until)).order_by(newest).limit(51))
    assert tables_of(plan) == {f"audit_entries_{month(now())}"}
    assert len(re.findall(r"Index Scan Backward using audit_entries_\w+app_id_id", plan)) == 1
    thing = await explained(listing.matching(team.app_id, Filter(entity_id=new_id())).order_by(newest).limit(51))
    assert len(re.findall(r"Index Scan Backward using audit_entries_\w+app_id_entity_id_id", thing)) == len(
        tables_of(thing)
    )


def tables_of(plan: str) -> set[str]:
    return set(re.findall(r" on (audit_entries_\w+)", plan))
