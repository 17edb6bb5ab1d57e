"""Executions: who comes in, what steps do, what is waited for, how they end. E2, E4, E5, E6."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine

from core.clock import now
from core.database import transaction
from domain.executions import admitting, claiming, stepping, tallies
from jobs import workflows as jobs
from models.contacts import Contact
from models.devices import Device
from models.events import Event
from models.executions import EndReason, ExecutionStatus, WorkflowWait
from models.in_app_messages import InAppMessage
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
    signals_left,
    step_rows,
    steps,
    take_up,
    track,
    work,
)
from tests.support.factories import Team
from tests.support.workflows import WINBACK, node, of

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


async def contact_of(device_id: object) -> Contact:
    async with transaction() as session:
        device = await session.get_one(Device, device_id)
        return await session.get_one(Contact, device.contact_id)


async def counts(workflow: Workflow) -> dict[str, dict[str, float]]:
    """What is not 0 of the counts, by node; whole executions under the empty name."""
    async with transaction() as session:
        assert workflow.active_version_id
        found = await tallies.of_versions(session, workflow.app_id, [workflow.active_version_id])
    return {
        key[1]: {name: one for name, one in numbers.items() if one and name != "seconds"}
        for key, numbers in found.items()
    }


async def test_the_winback_of_the_source_runs_from_the_event_to_the_device(team: Team) -> None:
    (device_id,) = await factories.contacts(team.app_id, 1)
    contact = await contact_of(device_id)
    workflow = await active(team, WINBACK)
    start = now()
    with time_machine.travel(start, tick=True):
        await happens(team, contact.id, "user_inactive_30d")
        assert await steps(workflow) == [("node_1", "COMPLETED"), ("node_2", "WAITING")]
        async with transaction() as session:
            sent = (await session.scalars(sa.select(InAppMessage).filter_by(device_id=device_id))).all()
        assert [(one.body, one.data) for one in sent] == [
            ("We miss you! Come back for 20% off.", {"action": "open_offer"})
        ]
    with time_machine.travel(start + 3 * DAY - MINUTE, tick=True):
        await work()
        assert (await steps(workflow))[1] == ("node_2", "WAITING")
    with time_machine.travel(start + 3 * DAY + MINUTE, tick=True):
        await work()
    assert await steps(workflow) == [("node_1", "COMPLETED"), ("node_2", "COMPLETED"), ("node_3", "COMPLETED")]
    ended = await execution(workflow)
    assert (ended.status, ended.reason, ended.open_steps) == (ExecutionStatus.COMPLETED, None, 0)
    (_, _, condition) = await step_rows(workflow)
    assert (condition.branch, condition.output) == ("false", {"result": False})
    passed = {"entered": 1, "passed": 1}
    assert await counts(workflow) == {"": passed, "node_1": passed, "node_2": passed, "node_3": passed}


async def test_an_event_that_nobody_cares_for_leaves_no_signal(team: Team) -> None:
    contact = await factories.person(team.app_id)
    await active(team, of(node("a")))
    await track(team, contact.id, "something_else")
    assert await signals_left(team) == 0
    await track(team, contact.id, "user_signup")
    assert await signals_left(team) == 1


async def test_parallel_ways_meet_in_a_node_that_acts_once(team: Team) -> None:
    contact = await factories.person(team.app_id)
    nodes = [node("a", "add_tag", tag="t"), node("b", "add_tag", tag="b"), node("c", "add_tag", tag="c")]
    end = node("d", "track_event", event_name="met")
    workflow = await active(team, of(*nodes, end, edges="a-b a-c b-d c-d"))
    await happens(team, contact.id, "user_signup")
    assert sorted(await steps(workflow)) == [(one, "COMPLETED") for one in "abcd"]
    async with transaction() as session:
        assert (await session.get_one(Contact, contact.id)).tags == ["t", "b", "c"]
        assert await session.scalar(sa.select(sa.func.count()).where(Event.name == "met")) == 1
    assert (await execution(workflow)).status is ExecutionStatus.COMPLETED


@pytest.mark.parametrize(("reentry", "count"), [("ONCE", 1), ("AFTER_END", 2), ("ALWAYS", 3)])
async def test_who_may_come_in_again(team: Team, reentry: str, count: int) -> None:
    contact = await factories.person(team.app_id)
    workflow = await active(team, of(node("a"), reentry=reentry))
    start = now()
    with time_machine.travel(start, tick=True):
        await happens(team, contact.id, "user_signup")
        await happens(team, contact.id, "user_signup")
    with time_machine.travel(start + 5 * MINUTE, tick=True):
        await work()
        await happens(team, contact.id, "user_signup")
    assert len(await executions(workflow)) == count


async def test_the_goal_ends_what_runs_and_counts_after_the_end(team: Team) -> None:
    one, other = await factories.person(team.app_id), await factories.person(team.app_id)
    goal = {"event_name": "bought", "properties": [{"field": "plan", "operator": "eq", "value": "pro"}]}
    workflow = await active(team, of(node("a"), goal=goal))
    start = now()
    with time_machine.travel(start, tick=True):
        await happens(team, one.id, "user_signup")
        await happens(team, other.id, "user_signup")
        await happens(team, one.id, "bought", plan="free")
        assert [row.status for row in await executions(workflow)] == [ExecutionStatus.RUNNING] * 2
        await happens(team, one.id, "bought", plan="pro")
    with time_machine.travel(start + 2 * MINUTE, tick=True):
        await work()
        await happens(team, other.id, "bought", plan="pro")
        await happens(team, other.id, "bought", plan="pro")
    first, second = await executions(workflow)
    assert (first.status, first.reason, second.status) == (
        ExecutionStatus.EXITED,
        EndReason.GOAL,
        ExecutionStatus.COMPLETED,
    )
    assert await counts(workflow) == {
        "": {"entered": 2, "exited": 1, "passed": 1, "converted": 2},
        "a": {"entered": 2, "exited": 1, "passed": 1},
    }


WAITING = of(
    node("a", "wait_for_event", {"received": "b", "timeout": "c"}, event_name="opened", timeout="1h"),
    node("b", "add_tag", tag="{x}"),
    node("c", "add_tag", tag="late"),
)


async def test_an_event_that_is_waited_for_comes_or_does_not(team: Team) -> None:
    one, other = await factories.person(team.app_id), await factories.person(team.app_id)
    workflow = await active(team, WAITING)
    start = now()
    with time_machine.travel(start, tick=True):
        await happens(team, one.id, "opened")
        await happens(team, one.id, "user_signup")
        await happens(team, other.id, "user_signup")
        await happens(team, one.id, "opened", id="7")
    with time_machine.travel(start + timedelta(hours=1, seconds=5), tick=True):
        await work()
        await happens(team, other.id, "opened")
    rows = [(row.node_id, row.branch, row.status.value) for row in await step_rows(workflow)]
    assert sorted(rows) == [
        ("a", "received", "COMPLETED"),
        ("a", "timeout", "COMPLETED"),
        ("b", "next", "COMPLETED"),
        ("c", "next", "COMPLETED"),
    ]
    first = next(row for row in await step_rows(workflow) if row.branch == "received")
    assert (first.output or {})["properties"] == {"id": "7"}
    async with transaction() as session:
        assert await session.scalar(sa.select(sa.func.count()).where(WorkflowWait.app_id == team.app_id)) == 0


async def test_a_paused_workflow_holds_and_goes_on(team: Team) -> None:
    contact = await factories.person(team.app_id)
    workflow = await active(team, of(node("a"), node("b", "add_tag", tag="b"), edges="a-b"))
    start = now()
    with time_machine.travel(start, tick=True):
        await happens(team, contact.id, "user_signup")
        await pause(team, workflow)
    with time_machine.travel(start + DAY, tick=True):
        await work()
        assert await steps(workflow) == [("a", "WAITING")]
        await happens(team, contact.id, "user_signup")
        await resume(team, workflow)
        async with transaction() as session:
            assert await claiming.release(session) == 1
            assert await claiming.release(session) == 0
        await work()
    assert await steps(workflow) == [("a", "COMPLETED"), ("b", "COMPLETED")]


async def test_an_event_that_a_workflow_tracks_does_not_let_in_who_made_it(team: Team) -> None:
    contact = await factories.person(team.app_id)
    first = of(node("a", "track_event", event_name="ping"), reentry="ALWAYS")
    second = of(node("a", "track_event", event_name="user_signup"), reentry="ALWAYS")
    second["trigger"] = {"type": "event", "event_name": "ping"}
    one, other = await active(team, first), await active(team, second)
    await happens(team, contact.id, "user_signup")
    assert (len(await executions(one)), len(await executions(other))) == (1, 1)


async def test_a_step_whose_worker_is_gone_is_taken_up_again_and_the_lost_one_writes_nothing(team: Team) -> None:
    contact = await factories.person(team.app_id)
    workflow = await active(team, of(node("a", "add_tag", tag="a"), node("b", "add_tag", tag="b"), edges="a-b"))
    await track(team, contact.id, "user_signup")
    await jobs.take_all()
    lost = await take_up(workflow)
    await due_in_the_past()
    await work()
    assert await steps(workflow) == [("a", "COMPLETED"), ("b", "COMPLETED")]
    async with transaction() as session:
        assert await stepping.take(session, lost) == (None, None)
    assert [row.attempts for row in await step_rows(workflow)] == [2, 1]


async def test_who_fits_the_exit_leaves_before_the_next_step(team: Team) -> None:
    contact = await factories.person(team.app_id)
    leave = {"field": "tags", "operator": "contains", "value": "stop"}
    nodes = [node("a", "add_tag", tag="stop"), node("b", "add_tag", tag="b")]
    workflow = await active(team, of(*nodes, edges="a-b", exit=leave))
    await happens(team, contact.id, "user_signup")
    assert await steps(workflow) == [("a", "COMPLETED"), ("b", "SKIPPED")]
    left = await execution(workflow)
    assert (left.status, left.reason) == (ExecutionStatus.EXITED, EndReason.CONDITION)
    assert (await counts(workflow))["b"] == {"entered": 1, "exited": 1}


async def test_an_exit_ends_all_ways(team: Team) -> None:
    contact = await factories.person(team.app_id)
    nodes = [node("a", "add_tag", tag="a"), node("b"), {"id": "c", "type": "exit", "config": {"reason": "enough"}}]
    workflow = await active(team, of(*nodes, edges="a-b a-c"))
    await happens(team, contact.id, "user_signup")
    assert sorted(await steps(workflow)) == [("a", "COMPLETED"), ("b", "SKIPPED"), ("c", "COMPLETED")]
    left = await execution(workflow)
    assert (left.status, left.reason, left.open_steps) == (ExecutionStatus.EXITED, EndReason.NODE, 0)


async def test_a_signal_that_breaks_is_put_off_and_keeps_no_other(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = await factories.person(team.app_id), await factories.person(team.app_id)
    workflow = await active(team, of(node("a", "add_tag", tag="a")))
    real = admitting.admit

    async def broken(session: Any, version: Any, plan: Any, entry: admitting.Entry) -> Any:
        if entry.contact_id == one.id:
            raise RuntimeError("broken")
        return await real(session, version, plan, entry)

    with time_machine.travel(now(), tick=True) as clock:
        monkeypatch.setattr(admitting, "admit", broken)
        await track(team, one.id, "user_signup")
        await happens(team, other.id, "user_signup")
        assert [row.contact_id for row in await executions(workflow)] == [other.id]
        assert await signals_left(team) == 1
        monkeypatch.undo()
        clock.shift(3)
        await work()
    assert [row.contact_id for row in await executions(workflow)] == [other.id, one.id]
    assert await signals_left(team) == 0


async def test_a_step_that_breaks_is_tried_again_and_then_has_failed(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    contact = await factories.person(team.app_id)
    workflow = await active(team, of(node("a", "add_tag", tag="a")))

    async def broken(*_args: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(stepping, "_act", broken)
    with time_machine.travel(now(), tick=True) as clock:
        await happens(team, contact.id, "user_signup")
        assert await steps(workflow) == [("a", "PENDING")]
        for _ in range(9):
            clock.shift(3_700)
            await work()
    failed = await execution(workflow)
    assert (failed.status, failed.error_code, failed.error_message) == (
        ExecutionStatus.FAILED,
        "BROKEN",
        "RuntimeError",
    )
