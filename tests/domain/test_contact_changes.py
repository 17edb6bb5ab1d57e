"""What happens to contacts and lets them in: messages, tags, fields; told once, and only where somebody cares."""

import io
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from core.database import transaction
from domain import bulk, contacts
from domain.contact_changes import changed, signals
from domain.contacts import ContactFields
from domain.conversations import control
from domain.imports.running import import_contacts
from domain.imports.table import open_table
from models.contacts import Contact
from models.workflow_signals import WorkflowSignal
from models.workflows import TriggerKind
from tests.support import factories, inbox
from tests.support.executions import active, execution, executions, happens, signals_left, work
from tests.support.factories import Team, principal
from tests.support.statements import recorded
from tests.support.workflows import node, of

TAGGED, CHANGED = {"type": "tag_added", "tag": "vip"}, {"type": "attribute_changed", "field": "plan"}
json = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=6,
)


def started_by(trigger: dict[str, Any], **rest: Any) -> dict[str, Any]:
    """A workflow that waits for a minute."""
    return of(node("a"), **rest) | {"trigger": trigger}


async def update(team: Team, contact_id: UUID, **fields: Any) -> None:
    async with transaction() as session:
        await contacts.update(session, principal(team), contact_id, ContactFields(**fields))
    await work()


async def told(team: Team) -> list[tuple[str, list[str]]]:
    """The signals that nobody has looked at yet."""
    async with transaction() as session:
        own = sa.select(WorkflowSignal.kind, WorkflowSignal.keys).where(WorkflowSignal.app_id == team.app_id)
        return sorted((kind.value, sorted(keys)) for kind, keys in await session.execute(own))


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ({}, {"plan": "pro", "name": ""}, ["plan"]),
        ({"plan": "pro"}, {"plan": "pro"}, []),
        ({"plan": "pro"}, {"plan": None}, ["plan"]),
        ({"tags": ["a"]}, {"tags": ["b"]}, ["tags"]),
        ({"external_id": "1"}, {"external_id": "2", "time_zone": "UTC"}, ["externalId", "timeZone"]),
        ({"attributes": {"n": 1}}, {"attributes": {"n": 1.0}}, []),
        ({"attributes": {"n": 1}}, {"attributes": {"n": True}}, ["attributes.n"]),
        ({"attributes": {"a": {"b": 1, "c": 2}}}, {"attributes": {"a": {"b": 1}}}, ["attributes.a", "attributes.a.c"]),
        ({}, {"attributes": {"a.b": 1}}, []),
    ],
)
def test_the_fields_that_changed_are_named_as_triggers_write_them(before: Any, after: Any, names: list[str]) -> None:
    assert list(changed(before, after)) == names


@given(json, json)
def test_a_value_that_is_the_same_is_no_change(one: Any, other: Any) -> None:
    assert list(changed({"attributes": {"k": one}}, {"attributes": {"k": one}})) == []
    both = [list(changed({"attributes": {"k": a}}, {"attributes": {"k": b}})) for a, b in ((one, other), (other, one))]
    assert sorted(both[0]) == sorted(both[1])


def test_only_tags_that_are_new_are_told() -> None:
    contact_id = UUID(int=1)
    (tag, field) = signals(contact_id, {"tags": ["a", "b"]}, {"tags": ["b", "c"]})
    assert (tag.kind, tag.keys, field.kind, field.keys) == (
        TriggerKind.TAG_ADDED,
        ["c"],
        TriggerKind.ATTRIBUTE_CHANGED,
        ["tags"],
    )
    assert [one.kind for one in signals(contact_id, {"tags": ["a", "b"]}, {"tags": ["b"]})] == [
        TriggerKind.ATTRIBUTE_CHANGED
    ]


async def test_a_message_lets_in_and_is_there_for_texts(team: Team) -> None:
    line = await inbox.line(team)
    echo = node("a", "update_contact", name="{{ message.body }} by {{ message.channel }}")
    told_of = {"type": "message_received", "channel": "IN_APP"}
    workflow = await active(team, of(echo, reentry="ALWAYS") | {"trigger": told_of})
    other = await active(team, started_by({"type": "message_received", "channel": "EMAIL"}), "Other")
    said = await line.says("Help", "once")
    await line.says("Help", "once")
    await line.answers(said.conversation_id)
    await work()
    assert (await execution(workflow)).trigger_key == f"message_received:{said.id}"
    assert await executions(other) == []
    async with transaction() as session:
        assert (await session.get_one(Contact, line.contact_id)).name == "Help by IN_APP"


async def test_spam_lets_nobody_in(team: Team) -> None:
    line = await inbox.line(team)
    workflow = await active(team, started_by({"type": "message_received"}, reentry="ALWAYS"))
    said = await line.says("Buy")
    await work()
    async with transaction() as session:
        await control.mark_spam(session, line.agent, said.conversation_id)
    await line.says("Buy more")
    assert await signals_left(team) == 0
    assert len(await executions(workflow)) == 1


async def test_a_tag_lets_in_when_it_is_new(team: Team) -> None:
    workflow = await active(team, started_by(TAGGED, reentry="ALWAYS"))
    contact = await factories.person(team.app_id, tags=["vip"])
    await update(team, contact.id, tags=["vip", "b"])
    await update(team, contact.id, name="Ada")
    assert await executions(workflow) == []
    await update(team, contact.id, tags=[])
    await update(team, contact.id, tags=["c", "vip"])
    assert [one.contact_id for one in await executions(workflow)] == [contact.id]


async def test_a_field_lets_in_when_it_has_another_value(team: Team) -> None:
    workflow = await active(team, started_by(CHANGED, reentry="ALWAYS"))
    inner = await active(team, started_by({"type": "attribute_changed", "field": "attributes.seats"}), "Seats")
    contact = await factories.person(team.app_id, plan="free")
    await update(team, contact.id, plan="free", name="Ada", attributes={"city": "Bonn"})
    assert await signals_left(team) == 0
    assert await executions(workflow) == await executions(inner) == []
    await update(team, contact.id, plan="pro", attributes={"city": "Bonn", "seats": 2})
    assert (len(await executions(workflow)), len(await executions(inner))) == (1, 1)


async def test_a_new_contact_has_changed_all_that_is_set(team: Team) -> None:
    tagged, changed_ = await active(team, started_by(TAGGED)), await active(team, started_by(CHANGED), "Plan")
    async with transaction() as session:
        fields = ContactFields(plan="pro", tags=["vip"])
        one = await contacts.create(session, principal(team), fields, "once")
    async with transaction() as session:
        await contacts.create(session, principal(team), fields, "once")
    async with transaction() as session:
        (other, _) = await bulk.add_contacts(
            session, team.app_id, [{"plan": "pro", "tags": ["vip"]}, {"plan": None, "tags": ["a"]}]
        )
    await work()
    for workflow in (tagged, changed_):
        assert {row.contact_id for row in await executions(workflow)} == {one.id, other}


async def test_what_a_workflow_changes_lets_into_others_and_not_into_itself(team: Team) -> None:
    contact = await factories.person(team.app_id)
    first = await active(
        team, of(node("a", "add_tag", tag="vip"), node("b", "update_contact", plan="pro"), edges="a-b")
    )
    second = await active(team, of(node("a", "update_contact", plan="free"), reentry="ALWAYS") | {"trigger": TAGGED})
    third = await active(team, of(node("a", "update_contact", plan="x"), reentry="ALWAYS") | {"trigger": CHANGED})
    await happens(team, contact.id, "user_signup")
    assert [len(await executions(one)) for one in (first, second, third)] == [1, 1, 2]
    lineages = {tuple(one.lineage) for one in await executions(third)}
    assert lineages == {(first.id,), (first.id, second.id)}


async def test_an_import_tells_of_what_it_changes(team: Team) -> None:
    await factories.person(team.app_id, external_id="1", plan="free", tags=["vip"])
    await factories.person(team.app_id, external_id="2", plan="free", tags=["vip"])
    await active(team, started_by(TAGGED))
    await active(team, started_by(CHANGED), "Plan")
    file = b"external_id,plan,tags\n1,pro,vip\n2,free,vip\n3,pro,vip\n"
    async for _ in import_contacts(team.app_id, open_table(io.BytesIO(file))):
        pass
    assert await told(team) == [
        ("attribute_changed", ["externalId", "plan", "tags"]),
        ("attribute_changed", ["plan"]),
        ("tag_added", ["vip"]),
    ]


async def test_where_nobody_cares_a_change_costs_one_statement(team: Team) -> None:
    contact = await factories.person(team.app_id)
    with recorded() as nothing:
        await update(team, contact.id, name="")
    with recorded() as something:
        await update(team, contact.id, name="Ada", plan="pro", tags=["a", "b"])
    new = [one for one in something if "workflow_signals" in one and "INSERT" in one]
    assert (len(new), len([one for one in nothing if "workflow_signals" in one and "INSERT" in one])) == (1, 0)
    assert await signals_left(team) == 0
