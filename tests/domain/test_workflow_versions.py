"""Versions of workflows and their triggers in the index; dry runs. E1, E3, E4."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from core.database import transaction
from core.errors import Conflict, Invalid, NotFound
from core.ids import new_id
from domain import events
from domain.pages import PageRequest
from domain.workflows import definition, drafts, dry_run, index, versions
from domain.workflows.dry_run import DryRun, Pretence
from domain.workflows.problems import Unpublishable
from models.contacts import Contact
from models.devices import Device
from models.facts import Fact
from models.workflows import TriggerKind, Workflow, WorkflowStatus, WorkflowVersion
from tests.support import factories
from tests.support.factories import WORKFLOW, Team
from tests.support.workflows import ONBOARDING, SIGNUP, WINBACK, node, of

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


async def found(team: Team, *keys: str, kind: TriggerKind = TriggerKind.EVENT) -> list[tuple[UUID, int]]:
    async with transaction() as session:
        rows = await index.candidates(session, team.app_id, kind, keys)
    return [(row.workflow_id, row.number) for row in rows]


async def facts_of(workflow_id: UUID) -> list[str]:
    async with transaction() as session:
        own = sa.select(Fact.kind).where(Fact.entity_id == workflow_id).order_by(Fact.created_at, Fact.id)
        return [kind.value.removeprefix("workflow.") for kind in await session.scalars(own)]


async def redraw(team: Team, id_: UUID, json: object, expected: int | None = None) -> Workflow:
    async with transaction() as session:
        return await drafts.update(session, factories.principal(team), id_, {"definition": json}, expected)


async def publish(team: Team, id_: UUID) -> WorkflowVersion:
    async with transaction() as session:
        return (await versions.publish(session, factories.principal(team), id_)).version


async def activate(team: Team, id_: UUID, number: int | None = None) -> WorkflowVersion:
    async with transaction() as session:
        return (await versions.activate(session, factories.principal(team), id_, number)).version


async def test_a_workflow_lives_from_draft_to_archive_and_is_found_while_it_is_active(team: Team) -> None:
    asker, id_ = factories.principal(team), (await factories.workflow(team, status=WorkflowStatus.DRAFT)).id
    assert (await publish(team, id_)).number == 1
    assert await found(team, "user_signup") == []
    await activate(team, id_)
    assert await found(team, "user_signup", "other") == [(id_, 1)]
    assert await found(team, "other") == await found(team, "user_signup", kind=TriggerKind.TAG_ADDED) == []
    assert await found(await factories.team(), "user_signup") == []
    async with transaction() as session:
        assert (await versions.pause(session, asker, id_)).status is WorkflowStatus.PAUSED
    assert await found(team, "user_signup") == []
    await activate(team, id_)
    assert await found(team, "user_signup") == [(id_, 1)]
    async with transaction() as session:
        assert (await versions.archive(session, asker, id_)).status is WorkflowStatus.ARCHIVED
    assert await found(team, "user_signup") == []
    assert await facts_of(id_) == ["created", "published", "activated", "paused", "activated", "archived"]
    for refused in (redraw(team, id_, WORKFLOW), publish(team, id_), activate(team, id_)):
        with pytest.raises(Conflict):
            await refused


async def test_an_active_workflow_goes_on_with_its_version_until_the_draft_is_published(team: Team) -> None:
    id_ = (await factories.workflow(team)).id
    await redraw(team, id_, WINBACK)
    assert await found(team, "user_signup") == [(id_, 1)]
    assert (await publish(team, id_)).number == (await publish(team, id_)).number == 2
    assert await found(team, "user_signup") == []
    assert await found(team, "user_inactive_30d") == [(id_, 2)]
    await activate(team, id_, 1)
    assert await found(team, "user_signup", "user_inactive_30d") == [(id_, 1)]
    with pytest.raises(NotFound):
        await activate(team, id_, 3)
    async with transaction() as session:
        page = await versions.listed(session, team.app_id, id_, PageRequest())
    assert [(one.number, one.definition) for one in page.rows] == [(2, WINBACK), (1, WORKFLOW)]


async def test_any_message_or_one_by_a_channel_is_found(team: Team) -> None:
    any_, push = [
        (await factories.workflow(team, of(node("a"), trigger={"type": "message_received", **channel}))).id
        for channel in ({}, {"channel": "push"})
    ]
    received = TriggerKind.MESSAGE_RECEIVED
    assert await found(team, "PUSH", kind=received) == [(any_, 1), (push, 1)]
    assert await found(team, "EMAIL", kind=received) == [(any_, 1)]


async def test_what_is_wrong_is_neither_published_nor_activated(team: Team) -> None:
    id_ = (await factories.workflow(team, of(node("a", "send_message")), WorkflowStatus.DRAFT)).id
    for refused in (publish(team, id_), activate(team, id_)):
        with pytest.raises(Unpublishable) as error:
            await refused
        assert [(one.node_id, one.code) for one in error.value.problems] == [("a", "CONFIG_MISSING")]
    assert await facts_of(id_) == ["created"]


async def test_what_a_version_names_must_still_be_there_when_it_is_activated(team: Team) -> None:
    segment = await factories.segment(team)
    entered = {"type": "segment_entered", "segment_id": str(segment.id)}
    id_ = (await factories.workflow(team, of(node("a"), trigger=entered), WorkflowStatus.DRAFT)).id
    await publish(team, id_)
    async with transaction() as session:
        await session.delete(segment)
    with pytest.raises(Unpublishable) as error:
        await activate(team, id_)
    assert [one.field for one in error.value.problems] == ["trigger.segment_id"]


async def overwrite(id_: UUID, change: str) -> None:
    """Change a version with the rights of the owner of the table."""
    async with transaction() as session:
        await session.execute(sa.text("RESET ROLE"))
        statement = sa.text(f"UPDATE workflow_versions SET {change} WHERE workflow_id = :id")  # noqa: S608
        await session.execute(statement, {"id": id_})


async def test_a_version_never_changes(team: Team) -> None:
    id_ = (await factories.workflow(team)).id
    for change in ("number = 7", "definition = '{}'", "published_at = now()"):
        with pytest.raises(DBAPIError) as refused:
            await overwrite(id_, change)
        assert getattr(refused.value.orig, "sqlstate", None) == "23001"
    await overwrite(id_, "published_by_id = NULL")


async def test_somebody_elses_change_is_not_overwritten(team: Team) -> None:
    id_ = (await factories.workflow(team, status=WorkflowStatus.DRAFT)).id
    assert (await redraw(team, id_, WINBACK, expected=1)).version == 2
    with pytest.raises(Conflict) as refused:
        await redraw(team, id_, WORKFLOW, expected=1)
    assert refused.value.field == "expectedVersion"


async def test_a_draft_is_deleted_and_what_has_let_somebody_in_is_not(team: Team) -> None:
    asker = factories.principal(team)
    draft, active = await factories.workflow(team, status=WorkflowStatus.DRAFT), await factories.workflow(team)
    await publish(team, draft.id)
    async with transaction() as session:
        await drafts.delete(session, asker, draft.id)
    async with transaction() as session:
        with pytest.raises(Conflict):
            await drafts.delete(session, asker, active.id)
        page = await drafts.listed(session, team.app_id, WorkflowStatus.ACTIVE, PageRequest())
    assert [row.id for row in page.rows] == [active.id]


async def test_an_exported_workflow_comes_in_elsewhere_as_it_was(team: Team) -> None:
    row, other = await factories.workflow(team, ONBOARDING), await factories.team()
    async with transaction() as session:
        brought = await drafts.bring_in(session, factories.principal(other), drafts.exported(row), "once")
        again = await drafts.bring_in(session, factories.principal(other), drafts.exported(row), "once")
        copied = await drafts.duplicate(session, factories.principal(team), row.id, None)
    assert (brought.id, brought.app_id, brought.definition) == (again.id, other.app_id, ONBOARDING)
    assert (copied.name, copied.definition, copied.status) == ("Copy of Welcome", ONBOARDING, WorkflowStatus.DRAFT)
    for document in ([], {}, {"format": "replyhq.workflow.1"}, drafts.exported(row) | {"name": 1}):
        with pytest.raises(Invalid):
            async with transaction() as session:
                await drafts.bring_in(session, factories.principal(other), document)


async def tried(team: Team, json: dict[str, Any], contact_id: UUID, pretence: Pretence | None = None) -> DryRun:
    row = Workflow(id=UUID(int=7), app_id=team.app_id)
    async with transaction() as session:
        return await dry_run.run(session, row, definition.parse(json), contact_id, pretence or Pretence(), AT)


def way(run: DryRun) -> Sequence[tuple[str, str | None]]:
    return [(step.node.id, step.branch) for step in run.steps]


async def test_a_dry_run_shows_the_way_with_its_times_and_reasons(team: Team) -> None:
    away = await factories.person(team.app_id, name="Ada", external_id="ada")
    run = await tried(team, WINBACK, away.id)
    assert run.enters
    assert way(run) == [("node_1", None), ("node_2", None), ("node_3", "false")]
    assert [step.at.day for step in run.steps] == [2, 2, 5]
    assert run.steps[1].reason == "It waits for 3d."
    async with transaction() as session:
        seen = datetime(2026, 3, 1, tzinfo=UTC)
        session.add(Device(app_id=team.app_id, contact_id=away.id, platform="IOS", last_seen_at=seen))
    assert way(await tried(team, WINBACK, away.id))[-1] == ("node_3", "true")


async def test_a_dry_run_counts_events_and_puts_variables_in(team: Team) -> None:
    ada = await factories.person(team.app_id, name="Ada", external_id="ada")
    few = await tried(team, ONBOARDING, ada.id)
    assert way(few)[2:] == [("node_4", "false"), ("node_6", None)]
    told = {"user_id": None, "properties": None, "occurred_at": AT, "key": None, "contact_id": ada.id}
    async with transaction() as session:
        await events.track_all(session, factories.principal(team), [{**told, "name": f"e{no}"} for no in range(5)])
    many = await tried(team, ONBOARDING, ada.id)
    assert way(many)[2:] == [("node_4", "true"), ("node_5", None)]
    assert many.steps[-1].config["body"] == {"user_id": "ada", "event": "workflow_completed"}


async def test_a_dry_run_follows_what_is_pretended_and_all_edges(team: Team) -> None:
    ada = await factories.person(team.app_id, name="Ada")
    json = of(
        node("a", "wait_for_event", {"received": "b", "timeout": "c"}, event_name="order", timeout="2d"),
        node("b", "condition", {"true": "d", "false": None}, field="event.properties.plan", operator="eq", value="pro"),
        node("c", "exit", reason="late"),
        node(
            "d", "send_message", body="{{ contact.name }} {{ event.properties.plan }} {{ steps.a.output.occurredAt }}"
        ),
        node("e"),
        node("f"),
        edges="d-e d-f e-f",
        trigger={**SIGNUP, "properties": [{"field": "plan", "operator": "exists"}]},
    )
    late = Pretence({"plan": "free"})
    assert way(await tried(team, json, ada.id, late)) == [("a", "timeout"), ("c", None)]
    ordered = await tried(team, json, ada.id, Pretence({"plan": "pro"}, {"a": "received"}))
    assert way(ordered) == [("a", "received"), ("b", "true"), ("d", None), ("e", None), ("f", None)]
    assert ordered.steps[2].config == {"body": "Ada pro {{ steps.a.output.occurredAt }}"}
    refused = await tried(team, json, ada.id)
    assert (refused.enters, refused.steps) == (False, ())
    for outcomes in ({"z": "x"}, {"a": "x"}):
        with pytest.raises(Invalid):
            await tried(team, json, ada.id, Pretence({"plan": "pro"}, outcomes))


async def test_who_does_not_fit_stays_out_and_who_fits_the_exit_leaves(team: Team) -> None:
    ada: Contact = await factories.person(team.app_id, name="Ada", plan="free")
    free = {"field": "plan", "operator": "eq", "value": "free"}
    assert not (await tried(team, of(node("a"), trigger={**SIGNUP, "conditions": {"not": free}}), ada.id)).enters
    left = await tried(team, of(node("a"), node("b"), edges="a-b", exit=free), ada.id)
    assert way(left) == [("a", None)]
    assert "exit" in left.steps[0].reason
    wrong = await tried(team, of(node("a", "send_message")), ada.id)
    assert ([one.node_id for one in wrong.problems], wrong.steps) == (["a"], ())
    with pytest.raises(NotFound):
        await tried(team, WINBACK, new_id())
