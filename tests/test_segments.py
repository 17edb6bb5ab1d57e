"""Segments from outside: saved, changed, previewed. B3."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from core.clock import now
from core.database import transaction
from models.broadcasts import BroadcastRecipient
from models.contacts import Contact
from models.devices import Device, Platform
from models.events import Event
from tests.support import audited, factories
from tests.support.factories import Team
from tests.support.graph import Graph

FIELDS = "id name description conditions createdBy { id }"
ERRORS = "userErrors { code message field }"
CREATE = (
    f"mutation($input: CreateSegmentInput!) {{ createSegment(input: $input) {{ segment {{ {FIELDS} }} {ERRORS} }} }}"
)
UPDATE = (
    f"mutation($input: UpdateSegmentInput!) {{ updateSegment(input: $input) {{ segment {{ {FIELDS} }} {ERRORS} }} }}"
)
DELETE = f"mutation($input: DeleteSegmentInput!) {{ deleteSegment(input: $input) {{ deletedSegmentId {ERRORS} }} }}"
SEGMENT = f"query($id: ID!) {{ segment(id: $id) {{ {FIELDS} }} }}"
SEGMENTS = "{ segments { totalCount nodes { name } } }"
PREVIEW = (
    "query($segment: SegmentPreviewInput!) { previewSegment(segment: $segment) { count sample { id externalId } } }"
)
FREE = {"field": {"field": "plan", "operator": "EQ", "value": "free"}}
FLAT = {"json": {"conditions": [{"field": "plan", "operator": "eq", "value": "free"}]}}


async def create(graph: Graph, **fields: Any) -> dict[str, Any]:
    return (await graph.change(CREATE, **{"name": "Free", "conditions": FREE} | fields))["segment"]


async def found(graph: Graph, conditions: dict[str, Any]) -> list[str]:
    """The external ids of those who fit, who are 10 at most."""
    preview = (await graph.data(PREVIEW, segment={"conditions": conditions}))["previewSegment"]
    assert preview["count"] == len(preview["sample"])
    return sorted(one["externalId"] for one in preview["sample"])


async def people(team: Team, **plans: str) -> dict[str, UUID]:
    """Contacts by external id, each on its plan."""
    rows = [Contact(app_id=team.app_id, external_id=name, plan=plan) for name, plan in plans.items()]
    async with transaction() as session:
        session.add_all(rows)
    return {row.external_id: row.id for row in rows}


async def test_a_segment_is_saved_read_changed_and_deleted(graph: Graph, team: Team) -> None:
    made = await create(graph, name=" Free plan ", description="Who might pay")
    assert made == {
        "id": made["id"],
        "name": "Free plan",
        "description": "Who might pay",
        "conditions": {"field": "plan", "operator": "eq", "value": "free"},
        "createdBy": {"id": str(team.user_id)},
    }
    assert (await graph.data(SEGMENT, id=made["id"]))["segment"] == made
    changed = await graph.change(UPDATE, id=made["id"], description=None, conditions={"not": FREE})
    assert changed["segment"] == made | {"description": None, "conditions": {"not": made["conditions"]}}
    assert (await graph.data(SEGMENTS))["segments"] == {"totalCount": 1, "nodes": [{"name": "Free plan"}]}
    assert (await graph.change(DELETE, id=made["id"]))["deletedSegmentId"] == made["id"]
    assert (await graph.data(SEGMENTS))["segments"] == {"totalCount": 0, "nodes": []}
    done = await audited.actions(UUID(made["id"]))
    assert done == ["segment.created", "segment.updated", "segment.deleted"]


async def test_the_flat_form_is_kept_as_a_tree(graph: Graph) -> None:
    made = await create(graph, conditions=FLAT)
    assert made["conditions"] == {"all": [{"field": "plan", "operator": "eq", "value": "free"}]}
    again = await create(graph, name="Again", conditions={"json": made["conditions"]})
    assert again["conditions"] == made["conditions"]


async def test_a_name_is_taken_whatever_its_case(graph: Graph) -> None:
    await create(graph, name="Frée")
    (error,) = await graph.refused(CREATE, name="FRÉE", conditions=FREE)
    assert (error["code"], error["field"]) == ("CONFLICT", ["name"])
    other = await create(graph, name="Other")
    (error,) = await graph.refused(UPDATE, id=other["id"], name="frée")
    assert (error["code"], error["field"]) == ("CONFLICT", ["name"])


async def test_creating_twice_with_one_key_creates_once(graph: Graph) -> None:
    made = [await create(graph, idempotencyKey="once") for _ in range(2)]
    assert made[0] == made[1]
    (error,) = await graph.refused(CREATE, name="Free", conditions={"not": FREE}, idempotencyKey="once")
    assert error["code"] == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize(
    ("conditions", "path"),
    [
        ({"field": {"field": "shoeSize", "operator": "EQ", "value": 1}}, "conditions.field.field"),
        ({"field": {"field": "plan", "operator": "GT", "value": "a"}}, "conditions.field.operator"),
        ({"all": [FREE, {"not": {"field": {"field": "plan", "operator": "EQ"}}}]}, "conditions.all.1.not.field.value"),
        ({"any": []}, "conditions.any"),
        ({"event": {"name": "a", "within": "soon"}}, "conditions.event.within"),
        ({"event": {"name": "a", "operator": "IN"}}, "conditions.event.operator"),
        ({"broadcast": {"did": "OPENED", "broadcastId": "7"}}, "conditions.broadcast.broadcastId"),
        ({"json": {"conditions": [{"field": "plan", "operator": "is"}]}}, "conditions.json.conditions.0.operator"),
    ],
)
async def test_a_condition_that_is_none_names_the_place(graph: Graph, conditions: dict[str, Any], path: str) -> None:
    (error,) = await graph.refused(CREATE, name="x", conditions=conditions)
    assert (error["code"], error["field"]) == ("BAD_USER_INPUT", path.split("."))
    answer = await graph.ask(PREVIEW, segment={"conditions": conditions})
    assert answer.codes == ["BAD_USER_INPUT"]
    assert answer.body["errors"][0]["extensions"]["field"] == f"segment.{path}"


@pytest.mark.parametrize("levels", [9, 200, 900])
async def test_a_deep_condition_is_refused(graph: Graph, levels: int) -> None:
    conditions: dict[str, Any] = FREE
    for _ in range(levels):
        conditions = {"not": conditions}
    answer = await graph.ask(CREATE, input={"name": "x", "conditions": conditions})
    refused = answer.codes or [error["code"] for error in answer.field("createSegment")["userErrors"]]
    assert refused == ["BAD_USER_INPUT"]


async def test_exactly_one_alternative_is_given(graph: Graph) -> None:
    for conditions in ({}, FREE | FLAT, {"not": None}):
        assert (await graph.ask(CREATE, input={"name": "x", "conditions": conditions})).codes == ["BAD_USER_INPUT"]
    assert (await graph.ask(PREVIEW, segment={})).codes == ["BAD_USER_INPUT"]


async def test_a_preview_counts_all_and_shows_ten(graph: Graph, team: Team) -> None:
    await people(team, **{f"user-{no}": "free" if no < 12 else "pro" for no in range(15)})
    preview = (await graph.data(PREVIEW, segment={"conditions": FREE}))["previewSegment"]
    assert (preview["count"], len({one["id"] for one in preview["sample"]})) == (12, 10)
    saved = await create(graph, conditions={"not": FREE})
    assert (await graph.data(PREVIEW, segment={"segmentId": saved["id"]}))["previewSegment"]["count"] == 3


async def test_every_kind_of_condition_chooses(graph: Graph, team: Team) -> None:
    ids = await people(team, ada="free", bob="pro")
    sent = await factories.broadcast(team)
    of_ada = {"contact_id": ids["ada"], "app_id": team.app_id}
    async with transaction() as session:
        session.add(Device(platform=Platform.IOS, last_seen_at=now() - timedelta(hours=1), **of_ada))
        for no in range(2):
            session.add(Event(name="order", properties={"total": no}, occurred_at=now() - timedelta(days=no), **of_ada))
        to_ada = {"seq": 1, "device_id": ids["ada"], "contact_id": ids["ada"], "platform": Platform.IOS}
        session.add(BroadcastRecipient(broadcast_id=sent.id, sent_at=now(), opened_at=now(), **to_ada))
        ada = sa.update(Contact).where(Contact.id == ids["ada"])
        await session.execute(ada.values(attributes={"orders": 3}, tags=["vip"]))
    chooses = [
        FREE,
        {"field": {"field": "tags", "operator": "CONTAINS", "value": "vip"}},
        {"field": {"field": "attributes.orders", "operator": "GTE", "value": 3}},
        {"field": {"field": "lastSeenAt", "operator": "WITHIN_LAST", "value": "2h"}},
        {"field": {"field": "platform", "operator": "EQ", "value": "IOS"}},
        {"event": {"name": "order", "count": 2}},
        {"event": {"name": "order", "operator": "EQ", "within": "PT1H"}},
        {"event": {"name": "order", "properties": [{"field": "total", "operator": "GT", "value": 0}]}},
        {"broadcast": {"did": "OPENED"}},
        {"broadcast": {"did": "RECEIVED", "broadcastId": str(sent.id), "within": "1d"}},
    ]
    for condition in chooses:
        assert await found(graph, condition) == ["ada"], condition
        assert await found(graph, {"not": condition}) == ["bob"], condition
    assert await found(graph, {"broadcast": {"did": "CLICKED"}}) == []


async def test_nothing_of_another_app_is_chosen_or_counted(graph: Graph, team: Team) -> None:
    """A preview is outside the wall: its WHERE alone keeps apps apart, in every sub-select."""
    other = await factories.team()
    await people(team, ours="free")
    (theirs,) = (await people(other, theirs="free")).values()
    of_theirs = {"contact_id": theirs, "app_id": other.app_id}
    sent = await factories.broadcast(other)
    async with transaction() as session:
        session.add(Device(platform=Platform.IOS, last_seen_at=now(), **of_theirs))
        session.add(Event(name="order", properties={}, occurred_at=now(), **of_theirs))
        to_them = {"seq": 1, "device_id": theirs, "contact_id": theirs, "platform": Platform.IOS}
        session.add(BroadcastRecipient(broadcast_id=sent.id, sent_at=now(), **to_them))
    everybody = {"field": {"field": "externalId", "operator": "EXISTS"}}
    assert await found(graph, everybody) == ["ours"]
    assert await found(graph, {"any": [FREE, everybody, {"not": FREE}]}) == ["ours"]
    for condition in (
        {"field": {"field": "platform", "operator": "EXISTS"}},
        {"event": {"name": "order"}},
        {"broadcast": {"did": "RECEIVED"}},
    ):
        assert await found(graph, condition) == []
        assert await found(graph, {"not": condition}) == ["ours"]
    named = {"broadcast": {"did": "RECEIVED", "broadcastId": str(sent.id)}}
    assert (await graph.ask(PREVIEW, segment={"conditions": named})).codes == ["NOT_FOUND"]
