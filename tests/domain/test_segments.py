"""Conditions on contacts: read, written back, and the same to PostgreSQL and to Python. B3."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from core.database import transaction
from core.errors import Invalid
from core.tenancy import TENANT
from domain.bulk import ONE_STATEMENT
from domain.segments import compiling, conditions, times
from domain.segments.conditions import Condition
from domain.segments.evaluating import Snapshot, holds
from domain.segments.fields import Operator
from domain.segments.times import Duration
from models.base import Model
from models.broadcasts import Broadcast as BroadcastRow
from models.broadcasts import BroadcastRecipient
from models.contacts import Contact
from models.devices import Device
from models.events import Event as EventRow
from tests.support import factories
from tests.support.segments import (
    AT,
    BROADCASTS,
    broadcasts,
    exact_comparisons,
    exact_people,
    of_events,
    of_fields,
    placed,
    snapshots,
    trees,
)

FEW = settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=150)
PEOPLE = st.lists(snapshots(), min_size=1, max_size=4)
LEAF = {"field": "plan", "operator": "eq", "value": "free"}


@pytest.fixture(scope="module")
async def app_id(database: None) -> UUID:
    """An app that has nobody."""
    return (await factories.team()).app_id


async def selected(people: dict[UUID, Snapshot], several: list[Condition], app_id: UUID) -> list[set[UUID]]:
    """For each condition those whom PostgreSQL selects; the same across apps and within the wall."""
    rows = [row for one in people.values() for row in (one.contact, *one.devices, *one.events, *one.recipients)]
    wanted = [sa.select(Contact.id).where(compiling.where(one, app_id, AT)) for one in several]
    async with transaction() as session:
        sent = {"app_id": app_id, "title": "Hello", "body": "World", "target_type": "ALL_USERS"}
        await session.execute(sa.insert(BroadcastRow), [{"id": id_, **sent} for id_ in BROADCASTS])
        for kind in (Contact, Device, EventRow, BroadcastRecipient):
            await insert(session, kind, [row for row in rows if isinstance(row, kind)])
        found = [set(await session.scalars(one)) for one in wanted]
        await session.execute(sa.text(f"SET LOCAL ROLE {TENANT}"))
        await session.execute(sa.text(f"SET LOCAL replyhq.app_id = '{app_id.hex}'"))
        assert [set(await session.scalars(one)) for one in wanted] == found
        await session.rollback()
    return found


async def insert(session: AsyncSession, kind: type[Model], rows: list[Any]) -> None:
    """The rows as they are, without the session keeping them."""
    columns = [one.key for one in sa.inspect(kind).column_attrs]
    said = [name for name in columns if any(getattr(row, name) is not None for row in rows)]
    if rows:
        values = [{name: getattr(row, name) for name in said} for row in rows]
        await session.execute(sa.insert(kind), values, execution_options=ONE_STATEMENT)


async def agree(people: list[Snapshot], condition: Condition, app_id: UUID) -> None:
    known = placed(people, app_id)
    expected = {id_ for id_, one in known.items() if holds(condition, one, AT)}
    assert await selected(known, [condition], app_id) == [expected]


async def test_both_agree_on_every_operator_with_every_value(app_id: UUID) -> None:
    """Where chance would seldom meet: equal instants, true and 1, patterns, numbers that start as a text does."""
    known, several = placed(exact_people(), app_id), exact_comparisons()
    found = await selected(known, [*several], app_id)
    expected = [{id_ for id_, one in known.items() if holds(condition, one, AT)} for condition in several]
    assert [pair for pair in zip(several, found, expected, strict=True) if pair[1] != pair[2]] == []
    assert {condition.operator for condition, chosen in zip(several, found, strict=True) if chosen} == set(Operator)


@pytest.mark.parametrize("operator", Operator)
@FEW
@given(people=PEOPLE, data=st.data())
async def test_both_agree_on_a_field(app_id: UUID, operator: Operator, people: list[Snapshot], data: Any) -> None:
    await agree(people, data.draw(of_fields(operator)), app_id)


@pytest.mark.parametrize("operator", Operator)
@FEW
@given(people=PEOPLE, data=st.data())
async def test_both_agree_on_events(app_id: UUID, operator: Operator, people: list[Snapshot], data: Any) -> None:
    await agree(people, data.draw(of_events(operator)), app_id)


@FEW
@given(people=PEOPLE, condition=broadcasts)
async def test_both_agree_on_broadcasts(app_id: UUID, people: list[Snapshot], condition: Condition) -> None:
    await agree(people, condition, app_id)


@MANY
@given(people=PEOPLE, condition=trees)
async def test_both_agree_on_trees(app_id: UUID, people: list[Snapshot], condition: Condition) -> None:
    await agree(people, condition, app_id)


@MANY
@given(condition=trees)
def test_what_is_written_is_read_as_the_same(condition: Condition) -> None:
    written = conditions.dump(condition)
    assert conditions.parse(json.loads(json.dumps(written))) == condition
    assert conditions.dump(conditions.parse(written)) == written


def refused(json: object) -> str | None:
    with pytest.raises(Invalid) as error:
        conditions.parse(json)
    return error.value.field


def nested(levels: int) -> dict[str, Any]:
    condition: dict[str, Any] = LEAF
    for _ in range(levels - 1):
        condition = {"not": condition}
    return condition


def test_a_condition_is_8_levels_deep_at_most() -> None:
    conditions.parse(nested(8))
    assert refused(nested(9)) == "conditions" + ".not" * 8


def test_a_condition_is_made_of_100_at_most() -> None:
    conditions.parse({"all": [LEAF] * 99})
    assert refused({"all": [LEAF] * 100}) == "conditions.all.99"
    properties = [{"field": "a", "operator": "exists"}] * 99
    assert refused({"event": {"name": "a", "properties": [*properties, *properties]}}).startswith("conditions.event.")


def test_the_flat_form_is_all() -> None:
    assert conditions.parse({"conditions": [LEAF, LEAF]}) == conditions.parse({"all": [LEAF, LEAF]})
    assert conditions.parse({"field": LEAF}) == conditions.parse(LEAF)


@pytest.mark.parametrize(
    ("json", "place"),
    [
        (None, ""),
        ([], ""),
        ({}, ""),
        ({"all": [LEAF], "any": [LEAF]}, ""),
        ({"none": [LEAF]}, ""),
        ({"all": LEAF}, ".all"),
        ({"all": [LEAF, 7]}, ".all.1"),
        ({"not": [LEAF]}, ".not"),
        ({"all": [LEAF, LEAF, LEAF | {"value": 7}]}, ".all.2.value"),
        (LEAF | {"value": "x" * 1_001}, ".value"),
        (LEAF | {"value": "a\0b"}, ".value"),
        (LEAF | {"value": "\ud800"}, ".value"),
        (LEAF | {"value": None}, ".value"),
        (LEAF | {"operator": "like"}, ".operator"),
        (LEAF | {"operator": 7}, ".operator"),
        (LEAF | {"operator": "within_last"}, ".operator"),
        (LEAF | {"field": "id"}, ".field"),
        (LEAF | {"field": "attributes"}, ".field"),
        (LEAF | {"field": "attributes."}, ".field"),
        (LEAF | {"field": "attributes.a..b"}, ".field"),
        (LEAF | {"field": "attributes.a.b.c.d.e.f"}, ".field"),
        (LEAF | {"field": f"attributes.{'x' * 101}"}, ".field"),
        (LEAF | {"vaule": 1}, ".vaule"),
        (LEAF | {"operator": "in"}, ".value"),
        (LEAF | {"operator": "in", "value": []}, ".value"),
        (LEAF | {"operator": "in", "value": ["x"] * 1_001}, ".value"),
        (LEAF | {"operator": "in", "value": ["x", 7]}, ".value.1"),
        (LEAF | {"operator": "exists", "value": "yes"}, ".value"),
        ({"field": "platform", "operator": "eq", "value": "PAGER"}, ".value"),
        ({"field": "createdAt", "operator": "gt", "value": 7}, ".value"),
        ({"field": "createdAt", "operator": "gt", "value": "2026-02-30"}, ".value"),
        ({"field": "createdAt", "operator": "gt", "value": "2026-01-24T10:00:00"}, ".value"),
        ({"field": "createdAt", "operator": "gt", "value": "now() - 1 week"}, ".value"),
        ({"field": "createdAt", "operator": "within_last", "value": "0d"}, ".value"),
        ({"field": "createdAt", "operator": "within_last", "value": "P1M"}, ".value"),
        ({"field": "createdAt", "operator": "within_last", "value": "99999999d"}, ".value"),
        ({"field": "attributes.a", "operator": "gt", "value": "much"}, ".value"),
        ({"field": "attributes.a", "operator": "gt", "value": True}, ".value"),
        ({"field": "attributes.a", "operator": "eq", "value": 2**63}, ".value"),
        ({"field": "attributes.a", "operator": "eq", "value": float("inf")}, ".value"),
        ({"field": "attributes.a", "operator": "eq", "value": {"b": 1}}, ".value"),
        ({"event": {}}, ".event.name"),
        ({"event": {"name": "a", "operator": "in"}}, ".event.operator"),
        ({"event": {"name": "a", "count": -1}}, ".event.count"),
        ({"event": {"name": "a", "count": 10_001}}, ".event.count"),
        ({"event": {"name": "a", "count": True}}, ".event.count"),
        ({"event": {"name": "a", "within": "soon"}}, ".event.within"),
        ({"event": {"name": "a", "properties": {}}}, ".event.properties"),
        ({"event": {"name": "a", "properties": [LEAF, {"field": "b"}]}}, ".event.properties.1.operator"),
        ({"broadcast": {}}, ".broadcast.did"),
        ({"broadcast": {"did": "seen"}}, ".broadcast.did"),
        ({"broadcast": {"did": "opened", "broadcastId": "7"}}, ".broadcast.broadcastId"),
        ({"broadcast": {"did": "opened", "id": "7"}}, ".broadcast.id"),
    ],
)
def test_what_is_wrong_is_named(json: object, place: str) -> None:
    assert refused(json) == f"conditions{place}"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *[("3d", 259_200), ("2h", 7_200), ("30m", 1_800), ("45s", 45), ("P7D", 604_800), ("P1W", 604_800)],
        *[("PT90M", 5_400), ("P1DT2H", 93_600), ("36500d", 3_153_600_000)],
    ],
)
def test_durations(text: str, seconds: int) -> None:
    assert times.duration(text, "within") == Duration(seconds)


@pytest.mark.parametrize("text", ["", "3", "d", "3w", "-3d", "1.5d", "P", "PT", "P1Y", "P1DT", "٣d", "3d\n", "36501d"])
def test_no_durations(text: str) -> None:
    with pytest.raises(Invalid):
        times.duration(text, "within")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-02-28T23:00:00-01:00", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("now()", AT),
        ("now() - 12h", datetime(2026, 3, 1, tzinfo=UTC)),
        ("now()+1d", datetime(2026, 3, 2, 12, tzinfo=UTC)),
    ],
)
def test_instants(text: str, meant: datetime) -> None:
    assert times.resolved(times.instant(text, "value"), AT) == meant


@MANY
@given(text=st.from_regex(times.INSTANT))
async def test_what_is_an_instant_to_python_is_the_same_to_postgresql(text: str) -> None:
    """Each text that the pattern lets through casts without an error."""
    found = times.absolute(text)
    if found is not None:  # `$` lets a last newline through in Python, and the rule does not
        whole = text + times.MIDNIGHT if len(text) == times.DATE_LENGTH else text
        async with transaction() as session:
            cast = sa.cast(sa.literal(whole, sa.Text), sa.TIMESTAMP(timezone=True))
            assert await session.scalar(sa.select(cast)) == found
