"""Executions in operators' hands: cancelled, retried, continued, started; and contacts erased from them. E4, E5."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine

from core.clock import now
from core.database import transaction
from core.errors import Conflict, IdempotencyKeyReused, NotFound
from core.ids import new_id
from domain import contacts
from domain.executions import claiming, control, recounting, retrying, starting, stepping
from domain.executions.answers import Asking, Reply
from domain.executions.starting import Start
from domain.principals import Principal
from jobs import workflows as jobs
from models.audit import AuditEntry
from models.contacts import Contact
from models.executions import EndReason, ExecutionStatus, StepStatus, WorkflowExecution, WorkflowStep, WorkflowWait
from models.facts import Fact
from models.workflows import Workflow
from tests.support import factories
from tests.support.executions import (
    active,
    due_in_the_past,
    execution,
    executions,
    happens,
    pause,
    resume,
    step_rows,
    steps,
    take_up,
    track,
    work,
)
from tests.support.factories import Team
from tests.support.workflows import node, of

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
CANCELLED, RUNNING, FAILED = ExecutionStatus.CANCELLED, ExecutionStatus.RUNNING, ExecutionStatus.FAILED
HOOK = node("hook", "webhook", url="https://example.com/", method="POST", retries=1)
FORKED = of(
    node("start", "add_tag", tag="in"),
    HOOK,
    node("long", "wait", duration="2d"),
    node("heard", "wait_for_event", {"received": "late", "timeout": None}, event_name="opened", timeout="3d"),
    node("late", "add_tag", tag="late"),
    edges="start-hook start-long start-heard",
)
MANUAL = {**of(node("a", "update_contact", name="{{ event.properties.tag }}")), "trigger": {"type": "manual"}}
Act = Callable[[Any, Principal, UUID], Awaitable[WorkflowExecution]]


@pytest.fixture(autouse=True)
async def nothing_else(database: None) -> None:
    """What other tests have left is done."""
    await work()


async def do(team: Team, act: Act, execution_id: UUID) -> WorkflowExecution:
    async with transaction() as session:
        return await act(session, factories.principal(team), execution_id)


async def outcome(doing: Awaitable[object]) -> str:
    """How it ended, by the name of its error; empty when it worked."""
    try:
        await doing
    except Conflict as error:
        return type(error).__name__
    return ""


async def differences(workflow: Workflow) -> list[recounting.Difference]:
    async with transaction() as session:
        return await recounting.recount(session, workflow.id)


async def facts_of(execution_id: UUID) -> list[tuple[str, str]]:
    async with transaction() as session:
        own = sa.select(Fact).where(Fact.entity_id == execution_id).order_by(Fact.created_at)
        return [(one.kind.value, one.actor) for one in await session.scalars(own)]


async def audited(entity_id: UUID) -> list[str]:
    async with transaction() as session:
        own = sa.select(AuditEntry.action).where(AuditEntry.entity_id == entity_id).order_by(AuditEntry.id)
        return list(await session.scalars(own))


async def waits(workflow: Workflow) -> list[str]:
    async with transaction() as session:
        own = sa.select(WorkflowWait.event_name).join(
            WorkflowExecution, WorkflowExecution.id == WorkflowWait.execution_id
        )
        return list(await session.scalars(own.where(WorkflowExecution.workflow_id == workflow.id)))


def answers(monkeypatch: pytest.MonkeyPatch, *replies: Reply) -> list[str]:
    """Have servers answer so, the last reply for ever; returns the keys of the calls as they come."""
    left, keys = list(replies), []

    async def ask(call: Asking) -> Reply:
        keys.append(call.key)
        return left.pop(0) if len(left) > 1 else left[0]

    monkeypatch.setattr(jobs, "_ask", ask)
    return keys


async def step_is_due(workflow: Workflow, node_id: str) -> None:
    async with transaction() as session:
        own = sa.update(WorkflowStep).where(WorkflowStep.workflow_id == workflow.id, WorkflowStep.node_id == node_id)
        await session.execute(own.values(due_at=now()))


async def failed(team: Team, monkeypatch: pytest.MonkeyPatch, definition: dict[str, Any] = FORKED) -> Workflow:
    """A workflow whose webhook has failed for one contact, and answers from now on."""
    answers(monkeypatch, Reply(503), Reply(400), Reply(200, b'{"ok": true}'))
    contact = await factories.person(team.app_id)
    workflow = await active(team, definition)
    await happens(team, contact.id, "user_signup")
    await step_is_due(workflow, "hook")
    await work()
    assert (await execution(workflow)).status is FAILED
    return workflow


# --- cancelling


async def test_a_cancelled_execution_ends_at_once_and_waits_for_nothing(team: Team) -> None:
    contact = await factories.person(team.app_id)
    workflow = await active(team, of(node("a"), node("b"), goal={"event_name": "bought"}, edges="a-b"))
    await happens(team, contact.id, "user_signup")
    one = await do(team, control.cancel, (await execution(workflow)).id)
    assert (one.status, one.reason, one.open_steps) == (CANCELLED, EndReason.OPERATOR, 0)
    assert await steps(workflow) == [("a", "SKIPPED")]
    assert await waits(workflow) == []
    assert await facts_of(one.id) == [("workflow_execution.cancelled", f"user:{team.user_id}")]
    assert await audited(one.id) == ["workflow_execution.cancelled"]
    assert await outcome(do(team, control.cancel, one.id)) == "Conflict"
    assert await differences(workflow) == []


async def test_what_a_worker_has_in_hand_when_it_is_cancelled_comes_to_nothing(team: Team) -> None:
    contact = await factories.person(team.app_id)
    workflow = await active(team, of(HOOK, node("b", "add_tag", tag="b"), edges="hook-b"))
    await track(team, contact.id, "user_signup")
    await jobs.take_all()
    claim = await take_up(workflow)
    async with transaction() as session:
        call = (await stepping.take(session, claim)).call
    assert isinstance(call, Asking)
    await do(team, control.cancel, (await execution(workflow)).id)
    async with transaction() as session:
        assert await stepping.answered(session, claim, call, Reply(200, b"{}")) == (None, None)
    async with transaction() as session:
        await stepping.broke(session, claim, RuntimeError())
    await work()
    (step,) = await step_rows(workflow)
    assert (step.status, step.output, step.failures) == (StepStatus.SKIPPED, None, 0)
    assert await differences(workflow) == []


async def test_cancelling_and_working_at_once_agree(team: Team) -> None:
    people = [await factories.person(team.app_id) for _ in range(12)]
    chain = [node(f"n{no}", "add_tag", tag=str(no)) for no in range(6)]
    edges = " ".join(f"n{no}-n{no + 1}" for no in range(5))
    workflow = await active(team, of(*chain, edges=edges))
    for one in people:
        await track(team, one.id, "user_signup")
    await jobs.take_all()
    ids = [one.id for one in await executions(workflow)]
    cancelling = [outcome(do(team, control.cancel, id_)) for id_ in ids]
    await asyncio.gather(work(), *cancelling, work())
    rows = await executions(workflow)
    assert {one.status for one in rows} <= {CANCELLED, ExecutionStatus.COMPLETED}
    assert {one.open_steps for one in rows} == {0}
    assert [one for one in await step_rows(workflow) if one.ended_at is None] == []
    assert await differences(workflow) == []


async def test_all_of_a_workflow_are_cancelled_slice_by_slice_and_none_begins_a_step_meanwhile(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    await jobs.cancel_wanted()  # what other tests have left
    monkeypatch.setattr(control, "AT_ONCE", 2)
    people = [await factories.person(team.app_id) for _ in range(5)]
    workflow = await active(team, of(node("a"), node("b", "add_tag", tag="b"), edges="a-b"))
    start = now()
    with time_machine.travel(start, tick=True):
        for one in people[:4]:
            await happens(team, one.id, "user_signup")
        async with transaction() as session:
            await control.cancel_all(session, factories.principal(team), workflow.id)
        assert (await audited(workflow.id))[-1] == "workflow.emptied"
    with time_machine.travel(start + 2 * MINUTE, tick=True):
        await work()
        assert {one.status for one in await executions(workflow)} == {CANCELLED}
        await happens(team, people[4].id, "user_signup")
        await jobs.cancel_wanted()
        assert [one.status for one in await executions(workflow)] == [CANCELLED] * 4 + [RUNNING]
        async with transaction() as session:
            assert await control.is_cancelling(session) is False
    assert await differences(workflow) == []


async def test_who_came_in_before_and_commits_after_all_were_cancelled_is_cancelled(team: Team) -> None:
    contact = await factories.person(team.app_id)
    workflow = await active(team, MANUAL)
    async with transaction() as late:
        await starting.start(late, factories.principal(team), asks(workflow, contact))
        await late.flush()
        await do(team, control.cancel_all, workflow.id)
        await jobs.cancel_wanted()
    await work()
    assert (await execution(workflow)).status is CANCELLED


async def test_slices_end_what_nobody_works_on(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    await jobs.cancel_wanted()  # what other tests have left
    monkeypatch.setattr(control, "AT_ONCE", 2)
    people = [await factories.person(team.app_id) for _ in range(5)]
    workflow = await active(team, of(node("a")))
    for one in people:
        await happens(team, one.id, "user_signup")
    await pause(team, workflow)
    async with transaction() as session:
        await control.cancel_all(session, factories.principal(team), workflow.id)
    async with transaction() as session:
        assert await control.cancel_some(session) is True
    assert sorted(one.status for one in await executions(workflow)) == [CANCELLED] * 2 + [RUNNING] * 3
    await asyncio.gather(jobs.cancel_wanted(), jobs.cancel_wanted())
    await jobs.cancel_wanted()
    assert {one.status for one in await executions(workflow)} == {CANCELLED}
    assert await differences(workflow) == []


# --- retrying


async def test_a_failed_execution_goes_on_from_its_failed_step(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    start = now()
    with time_machine.travel(start, tick=True):
        workflow = await failed(team, monkeypatch)
        one = await execution(workflow)
        assert sorted(await steps(workflow)) == [
            ("heard", "SKIPPED"),
            ("hook", "FAILED"),
            ("long", "SKIPPED"),
            ("start", "COMPLETED"),
        ]
        assert await differences(workflow) == []
        before = {row.node_id: row.due_at for row in await step_rows(workflow)}
        revived = await do(team, retrying.retry, one.id)
        assert (revived.status, revived.open_steps, revived.ended_at) == (RUNNING, 3, None)
        assert (revived.error_node_id, revived.error_code, revived.error_message) == (None, None, None)
        assert await differences(workflow) == []
        await work()
        rows = {row.node_id: row for row in await step_rows(workflow)}
        assert {name: row.status.value for name, row in rows.items()} == {
            "start": "COMPLETED",
            "hook": "COMPLETED",
            "long": "WAITING",
            "heard": "WAITING",
        }
        assert (rows["hook"].output or {})["body"] == {"ok": True}
        assert [rows[name].due_at for name in ("long", "heard")] == [before[name] for name in ("long", "heard")]
        assert await waits(workflow) == ["opened"]
        contact_id = one.contact_id
        assert contact_id
        await happens(team, contact_id, "opened")
    with time_machine.travel(start + 2 * DAY + MINUTE, tick=True):
        await work()
    assert (await execution(workflow)).status is ExecutionStatus.COMPLETED
    assert await differences(workflow) == []
    assert await facts_of(one.id) == [
        ("workflow_execution.failed", f"workflow:{workflow.id}"),
        ("workflow_execution.retried", f"user:{team.user_id}"),
    ]
    assert await audited(one.id) == ["workflow_execution.failed", "workflow_execution.retried"]


async def test_an_event_told_while_it_had_failed_is_not_waited_for_again(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = await failed(team, monkeypatch)
    one = await execution(workflow)
    assert one.contact_id
    await happens(team, one.contact_id, "opened", plan="pro")
    await do(team, retrying.retry, one.id)
    await work()
    rows = {row.node_id: row for row in await step_rows(workflow)}
    assert (rows["heard"].branch, (rows["heard"].output or {})["properties"]) == ("received", {"plan": "pro"})
    assert rows["late"].status is StepStatus.COMPLETED


async def test_two_who_retry_at_once_retry_once(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = await failed(team, monkeypatch)
    id_ = (await execution(workflow)).id
    ended = await asyncio.gather(*(outcome(do(team, retrying.retry, id_)) for _ in range(5)))
    assert sorted(ended) == [""] + ["Conflict"] * 4
    assert await differences(workflow) == []
    await work()
    assert (await execution(workflow)).open_steps == 2


async def test_who_is_in_by_another_execution_is_not_let_in_twice(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = await failed(team, monkeypatch)
    first = await execution(workflow)
    assert first.contact_id
    await happens(team, first.contact_id, "user_signup")
    assert [one.status for one in await executions(workflow)] == [FAILED, RUNNING]
    assert await outcome(do(team, retrying.retry, first.id)) == "Conflict"
    second = (await executions(workflow))[1]
    await do(team, control.cancel, second.id)
    await do(team, retrying.retry, first.id)
    await happens(team, first.contact_id, "user_signup")
    assert [one.status for one in await executions(workflow)] == [RUNNING, CANCELLED]
    assert await differences(workflow) == []


async def test_a_retry_and_an_entry_at_once_are_one_of_the_two(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = await failed(team, monkeypatch)
    first = await execution(workflow)
    assert first.contact_id
    await track(team, first.contact_id, "user_signup")
    await asyncio.gather(jobs.take_all(), outcome(do(team, retrying.retry, first.id)))
    running = [one for one in await executions(workflow) if one.status is RUNNING]
    assert len(running) == 1
    assert await differences(workflow) == []


async def test_what_has_not_failed_or_has_converted_is_not_retried(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = await failed(team, monkeypatch, {**FORKED, "goal": {"event_name": "bought"}})
    one = await execution(workflow)
    assert one.contact_id
    await happens(team, one.contact_id, "bought")
    assert await outcome(do(team, retrying.retry, one.id)) == "Conflict"
    other = await active(team, of(node("a")), "Other")
    await happens(team, (await factories.person(team.app_id)).id, "user_signup")
    assert await outcome(do(team, retrying.retry, (await execution(other)).id)) == "Conflict"
    with pytest.raises(NotFound):
        await do(await factories.team(), retrying.retry, one.id)


# --- continuing


async def test_what_waits_goes_on_now(team: Team) -> None:
    contact = await factories.person(team.app_id)
    heard = node("b", "wait_for_event", {"received": None, "timeout": "c"}, event_name="opened", timeout="3d")
    workflow = await active(team, of(node("a", duration="30d"), heard, node("c", "add_tag", tag="c"), edges="a-b"))
    await happens(team, contact.id, "user_signup")
    id_ = (await execution(workflow)).id
    for expected in (
        [("a", "COMPLETED"), ("b", "WAITING")],
        [("a", "COMPLETED"), ("b", "COMPLETED"), ("c", "COMPLETED")],
    ):
        await do(team, control.continue_now, id_)
        await work()
        assert await steps(workflow) == expected
    assert (await step_rows(workflow))[1].branch == "timeout"
    assert await outcome(do(team, control.continue_now, id_)) == "Conflict"
    assert await facts_of(id_) == [("workflow_execution.continued", f"user:{team.user_id}")] * 2


async def test_what_is_held_is_continued_once_its_workflow_is(team: Team) -> None:
    contact = await factories.person(team.app_id)
    workflow = await active(team, of(node("a", duration="30d")))
    await happens(team, contact.id, "user_signup")
    await pause(team, workflow)
    await do(team, control.continue_now, (await execution(workflow)).id)
    await work()
    assert await steps(workflow) == [("a", "WAITING")]
    await resume(team, workflow)
    async with transaction() as session:
        await claiming.release(session)
    await work()
    assert await steps(workflow) == [("a", "COMPLETED")]


# --- what workers keep


async def test_a_wait_that_is_just_written_keeps_its_time_though_the_worker_keeps_the_step(team: Team) -> None:
    contact = await factories.person(team.app_id)
    workflow = await active(team, of(node("a", duration="30d")))
    await track(team, contact.id, "user_signup")
    await jobs.take_all()
    claim = await take_up(workflow)

    async def keep() -> None:
        async with transaction() as session:
            await claiming.renew(session, [claim])

    async with transaction() as session:
        await stepping.take(session, claim)
        await session.flush()
        await keep()
    await keep()
    (step,) = await step_rows(workflow)
    assert (step.status, step.due_at > now() + 29 * DAY) == (StepStatus.WAITING, True)


# --- starting


def asks(workflow: Workflow, contact: Contact, **fields: Any) -> Start:
    told = {"user_id": None, "properties": {"tag": "vip"}, "key": None}
    return Start(**{"workflow_id": workflow.id, "contact_id": contact.id} | told | fields)


async def start(team: Team, asked: Start) -> WorkflowExecution:
    async with transaction() as session:
        return await starting.start(session, factories.principal(team), asked)


async def test_a_manual_workflow_is_started_with_properties_and_once_by_a_key(team: Team) -> None:
    contact = await factories.person(team.app_id, external_id="customer-1")
    workflow = await active(team, MANUAL)
    first = await start(team, asks(workflow, contact, key="once"))
    await work()
    again = await start(team, asks(workflow, contact, key="once"))
    assert (again.id, len(await executions(workflow))) == (first.id, 1)
    with pytest.raises(IdempotencyKeyReused):
        await start(team, asks(workflow, contact, key="once", properties={"tag": "other"}))
    by_user_id = await start(team, asks(workflow, contact, contact_id=None, user_id="customer-1"))
    await work()
    assert by_user_id.contact_id == contact.id
    async with transaction() as session:
        assert (await session.get_one(Contact, contact.id)).name == "vip"
    assert await audited(first.id) == ["workflow_execution.started"]


async def test_who_may_not_come_in_is_told_why(team: Team) -> None:
    contact = await factories.person(team.app_id, plan="free")
    waiting = {**of(node("a")), "trigger": {"type": "manual"}}
    picky = {"type": "manual", "conditions": {"field": "plan", "operator": "eq", "value": "pro"}}
    workflows = {
        "in this workflow": await active(team, waiting),
        "trigger is manual": await active(team, of(node("a"))),
        "conditions": await active(team, {**waiting, "trigger": picky}),
        "lets nobody in": await active(team, waiting),
    }
    await start(team, asks(workflows["in this workflow"], contact))
    await pause(team, workflows["lets nobody in"])
    for why, workflow in workflows.items():
        with pytest.raises(Conflict, match=why):
            await start(team, asks(workflow, contact))
    for wrong in ({"contact_id": new_id()}, {"workflow_id": new_id()}):
        with pytest.raises(NotFound):
            await start(team, asks(workflows["in this workflow"], contact, **wrong))


async def test_who_start_it_at_once_start_it_once(team: Team) -> None:
    contact = await factories.person(team.app_id)
    workflow = await active(team, {**of(node("a")), "trigger": {"type": "manual"}})
    ended = await asyncio.gather(*(outcome(start(team, asks(workflow, contact))) for _ in range(5)))
    assert sorted(ended) == [""] + ["Conflict"] * 4
    keyed = [start(team, asks(workflow, await factories.person(team.app_id), key="k")) for _ in range(1)]
    assert len(await asyncio.gather(*keyed)) == 1
    assert len(await executions(workflow)) == 2


# --- erasing


async def erase(team: Team, contact_id: UUID) -> None:
    async with transaction() as session:
        await contacts.delete(session, factories.principal(team), contact_id)


async def test_an_erased_contact_leaves_rows_that_tell_nothing_and_counts_that_stay(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, Reply(200, b'{"secret": "of the contact"}'))
    contact = await factories.person(team.app_id)
    goal = {"event_name": "bought"}
    workflow = await active(team, of(HOOK, node("a", duration="30d"), edges="hook-a", goal=goal, reentry="ONCE"))
    await happens(team, contact.id, "user_signup", called="Ada")
    await pause(team, workflow)
    await erase(team, contact.id)
    row = await execution(workflow)
    assert (row.contact_id, row.context, row.entry_key, row.status) == (None, {}, None, RUNNING)
    assert [(one.input, one.output, one.error_message) for one in await step_rows(workflow)] == [(None, None, None)] * 2
    await work()
    row = await execution(workflow)
    assert (row.status, row.reason, row.context) == (CANCELLED, EndReason.CONTACT_ERASED, {})
    assert await steps(workflow) == [("hook", "COMPLETED"), ("a", "SKIPPED")]
    assert await waits(workflow) == []
    assert await differences(workflow) == []


async def test_an_answer_that_comes_after_the_erasure_is_not_kept(team: Team) -> None:
    contact = await factories.person(team.app_id)
    workflow = await active(team, of(HOOK))
    await track(team, contact.id, "user_signup")
    await jobs.take_all()
    claim = await take_up(workflow)
    async with transaction() as session:
        call = (await stepping.take(session, claim)).call
    assert isinstance(call, Asking)
    await erase(team, contact.id)
    async with transaction() as session:
        assert await stepping.answered(session, claim, call, Reply(200, b'{"name": "Ada"}')) == (None, None)
    (step,) = await step_rows(workflow)
    assert (step.input, step.output) == (None, None)
    await due_in_the_past()
    await work()
    assert (await execution(workflow)).reason is EndReason.CONTACT_ERASED
    with pytest.raises(Conflict):
        await do(team, retrying.retry, (await execution(workflow)).id)


async def test_erasing_and_working_at_once_end_all(team: Team) -> None:
    people = [await factories.person(team.app_id) for _ in range(8)]
    chain = [
        node(f"n{no}", "add_tag" if no % 2 else "track_event", **{"tag": "t"} if no % 2 else {"event_name": "e"})
        for no in range(6)
    ]
    workflow = await active(team, of(*chain, edges=" ".join(f"n{no}-n{no + 1}" for no in range(5))))
    for one in people:
        await track(team, one.id, "user_signup")
    await jobs.take_all()
    await asyncio.gather(work(), *(erase(team, one.id) for one in people), work())
    await due_in_the_past()
    await work()
    rows = await executions(workflow)
    assert {(one.contact_id, one.open_steps) for one in rows} == {(None, 0)}
    assert {tuple(one.context) for one in rows} == {()}
    assert [one for one in await step_rows(workflow) if one.ended_at is None or one.output] == []
    assert await differences(workflow) == []
