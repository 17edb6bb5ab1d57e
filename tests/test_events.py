"""Events from outside: told by the app's server and by devices, one by one and in bulk. B7."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from core.clock import now
from core.database import transaction
from domain import events
from domain.events import EventFields
from domain.permissions import Permission
from models.audit import AuditEntry
from models.contacts import Contact
from models.devices import Device
from models.events import Event
from models.facts import Fact, FactKind
from tests.schema.test_statements import recorded
from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import Graph

ERRORS = "userErrors { code message field }"
ONE = f"""mutation($input: TrackEventInput!) {{ trackEvent(input: $input) {{
  event {{ id contactId name properties occurredAt }} {ERRORS} }} }}"""
MANY = f"mutation($input: TrackEventsInput!) {{ trackEvents(input: $input) {{ tracked duplicates {ERRORS} }} }}"
ORDER = {"userId": "user-0", "name": "order", "properties": {"total": 9.5}}


async def kept(team: Team) -> list[Event]:
    async with transaction() as session:
        rows = sa.select(Event).where(Event.app_id == team.app_id).order_by(Event.id)
        return list(await session.scalars(rows))


async def told(team: Team) -> tuple[list[dict[str, Any]], list[dict[str, Any] | None]]:
    """The data of the facts, and what the audit log shows."""
    async with transaction() as session:
        of_app = sa.select(Fact.data).where(Fact.app_id == team.app_id, Fact.kind == FactKind.EVENT_TRACKED)
        shown = sa.select(AuditEntry.after).where(AuditEntry.app_id == team.app_id)
        entries = await session.scalars(shown.where(AuditEntry.action == FactKind.EVENT_TRACKED))
        return list(await session.scalars(of_app)), list(entries)


async def contact_of(device_id: Any) -> Any:
    async with transaction() as session:
        return await session.scalar(sa.select(Device.contact_id).where(Device.id == device_id))


async def test_a_server_tells_an_event(graph: Graph, team: Team) -> None:
    (device,) = await factories.contacts(team.app_id, 1)
    key = await factories.api_key(team, Permission.TRACK_EVENTS)
    at = "2026-01-24T10:00:00.000Z"
    event = (await graph.as_(key.secret).change(ONE, **ORDER, occurredAt=at))["event"]
    assert event == {
        "id": event["id"],
        "contactId": str(await contact_of(device)),
        "name": "order",
        "properties": {"total": 9.5},
        "occurredAt": at,
    }
    (row,) = await kept(team)
    assert str(row.id) == event["id"]
    assert await told(team) == ([{"count": 1, "last": event["id"]}], [{"count": 1, "names": ["order"]}])


async def test_told_again_with_its_key_it_is_the_same_event(graph: Graph, team: Team) -> None:
    await factories.contacts(team.app_id, 2)
    first, again = [(await graph.change(ONE, **ORDER, idempotencyKey="order-1"))["event"] for _ in range(2)]
    assert first == again
    (error,) = await graph.refused(ONE, **ORDER | {"userId": "user-1"}, idempotencyKey="order-1")
    assert (error["code"], error["field"]) == ("IDEMPOTENCY_KEY_REUSED", ["idempotencyKey"])
    assert len(await kept(team)) == 1
    assert len((await told(team))[0]) == 1


async def test_a_device_tells_of_its_own_contact_only(graph: Graph, team: Team) -> None:
    own, other = await factories.contacts(team.app_id, 2)
    device = graph.as_(await factories.device_token(own))
    event = (await device.change(ONE, name="opened", idempotencyKey="1"))["event"]
    assert event["contactId"] == str(await contact_of(own))
    for named in ({"contactId": str(await contact_of(own))}, {"userId": "user-0"}):
        (error,) = await device.refused(ONE, name="opened", **named)
        assert (error["code"], error["field"]) == ("BAD_USER_INPUT", list(named))
        (error,) = await device.refused(MANY, events=[{"name": "opened"}, {"name": "opened", **named}])
        assert error["field"] == ["events", "1", *named]
    second = graph.as_(await factories.device_token(other))
    assert (await second.change(ONE, name="opened", idempotencyKey="1"))["event"]["id"] != event["id"]
    assert (await graph.change(ONE, **ORDER, idempotencyKey="1"))["event"]["id"] != event["id"]


async def test_many_are_told_at_once(graph: Graph, team: Team) -> None:
    devices = await factories.contacts(team.app_id, 3)
    by_id = {"contactId": str(await contact_of(devices[2])), "name": "view"}
    told_before = [ORDER | {"userId": f"user-{no % 2}", "idempotencyKey": f"order-{no}"} for no in range(998)]
    payload = await graph.change(MANY, events=[*told_before, by_id, told_before[0]])
    assert (payload["tracked"], payload["duplicates"]) == (999, 1)
    again = await graph.change(MANY, events=told_before)
    assert (again["tracked"], again["duplicates"]) == (0, 998)
    rows = await kept(team)
    assert [row.name for row in rows].count("view") == 1
    (data,), (shown,) = await told(team)
    assert shown == {"count": 999, "names": ["order", "view"]}
    assert data["count"] == 999


async def test_a_thousand_at_most_and_one_at_least(graph: Graph) -> None:
    for several in ([], [{"userId": "user-0", "name": "x"}] * 1001):
        (error,) = await graph.refused(MANY, events=several)
        assert (error["code"], error["field"]) == ("BAD_USER_INPUT", ["events"])


async def test_what_is_wrong_is_named_and_nothing_is_kept(graph: Graph, team: Team) -> None:
    await factories.contacts(team.app_id, 1)
    soon, later = ((now() + timedelta(minutes=minutes)).isoformat() for minutes in (4, 6))
    wrong = {
        "name": {"name": " "},
        "properties": {"properties": {"text": "x" * 8_192}},
        "occurredAt": {"occurredAt": later},
        "userId": {"userId": "nobody"},
        "contactId": {"contactId": "7"},
        "idempotencyKey": {"idempotencyKey": "x" * 201},
    }
    for field, changes in wrong.items():
        event = ORDER | {"userId": None} | changes if field == "contactId" else ORDER | changes
        (error,) = await graph.refused(ONE, **event)
        assert error["field"] == [field]
        (error,) = await graph.refused(MANY, events=[ORDER, ORDER, ORDER, event])
        assert error["field"] == ["events", "3", field]
        assert error["code"] == ("NOT_FOUND" if field == "userId" else "BAD_USER_INPUT")
    for named in ({"userId": None}, {"contactId": str(team.user_id)}):
        (error,) = await graph.refused(ONE, **ORDER | named)
        assert (error["code"], error["field"]) == ("BAD_USER_INPUT", ["contactId"])
    assert await kept(team) == []
    await graph.change(ONE, **ORDER | {"occurredAt": soon})


async def test_a_contact_of_another_app_is_nobody(graph: Graph, team: Team) -> None:
    (foreign,) = await factories.contacts((await factories.team()).app_id, 1)
    (error,) = await graph.refused(ONE, contactId=str(await contact_of(foreign)), name="order")
    assert (error["code"], error["field"]) == ("NOT_FOUND", ["contactId"])


async def test_events_go_with_their_contact(graph: Graph, team: Team) -> None:
    await factories.contacts(team.app_id, 1)
    await graph.change(ONE, **ORDER)
    async with transaction() as session:
        await session.execute(sa.delete(Contact).where(Contact.app_id == team.app_id))
    assert await kept(team) == []


async def test_many_cost_as_many_statements_as_one(team: Team) -> None:

    await factories.contacts(team.app_id, 1)

    async def statements(number: int) -> int:
        fields = EventFields(contact_id=None, user_id="user-0", name="x", properties=None, occurred_at=None, key=None)
        with recorded() as seen:
            async with transaction() as session:
                await events.track_all(session, factories.principal(team), [fields] * number)
        return len(seen)

    assert await statements(1000) == await statements(1)
