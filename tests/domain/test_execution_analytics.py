"""The numbers of workflows: exact while workers run, equal to a recount of the rows, which mends what is not. E7."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import time_machine

from core.clock import now
from core.database import transaction
from core.errors import Invalid, NotFound
from core.ids import new_id
from domain.executions import analytics, control, recounting, tallies
from domain.executions.analytics import Analytics, DayCount
from domain.executions.recounting import Difference
from models.executions import StepStatus, WorkflowExecution, WorkflowStep
from models.workflow_tallies import WorkflowMove, WorkflowTally
from models.workflows import Workflow
from tests.support import factories
from tests.support.commands import replyhq
from tests.support.executions import active, execution, executions, happens, track, work
from tests.support.factories import Team
from tests.support.plans import explained
from tests.support.workflows import node, of

SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
async def nothing_else(database: None) -> None:
    """What other tests have left is done."""
    await work()


async def numbers(team: Team, workflow: Workflow, **asked: object) -> Analytics:
    async with transaction() as session:
        return await analytics.read(session, team.app_id, workflow.id, **asked)


async def differences(workflow: Workflow, *, mend: bool = False) -> list[Difference]:
    async with transaction() as session:
        return await recounting.recount(session, workflow.id, mend=mend)


async def fold() -> None:
    async with transaction() as session:
        await tallies.fold(session)


async def test_counts_agree_with_the_rows_while_workers_run_and_counts_are_folded(team: Team) -> None:
    people = [await factories.person(team.app_id) for _ in range(15)]
    variants = [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}]
    split = node("split", "random_split", {"a": "left", "b": "wait"}, variants=variants)
    left = [node("left", "add_tag", tag="left"), node("join", "track_event", event_name="joined")]
    drawn = of(split, *left, node("wait", "wait", duration="1d"), node("exit", "exit"), edges="left-join left-exit")
    workflow = await active(team, drawn)
    for one in people:
        await track(team, one.id, "user_signup")

    async def cancel_some() -> None:
        for _ in range(3):
            async with transaction() as session:
                await control.cancel_all(session, factories.principal(team), workflow.id)
                await control.cancel_some(session)

    async def watch() -> list[list[Difference]]:
        return [await differences(workflow) for _ in range(10)]

    watched = asyncio.create_task(watch())
    await asyncio.gather(work(), work(), fold(), fold(), cancel_some())
    assert await watched == [[]] * 10
    await fold()
    assert await differences(workflow) == []
    seen, rows = await numbers(team, workflow), await executions(workflow)
    assert seen.stats.entered == len(rows) == 15
    assert {one.node_id for one in seen.nodes} == {"split", "left", "join", "wait", "exit"}
    status = Counter(one.status.value for one in rows)
    counted = (seen.stats.running, seen.stats.completed, seen.stats.exited, seen.stats.cancelled)
    assert counted == tuple(status[name] for name in ("RUNNING", "COMPLETED", "EXITED", "CANCELLED"))


async def test_the_median_and_the_95th_percentile_are_of_the_newest_passes(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analytics, "SAMPLE", 100)
    contact = await factories.person(team.app_id)
    workflow = await active(team, of(node("a", "add_tag", tag="a")))
    await happens(team, contact.id, "user_signup")
    row, start = await execution(workflow), now()
    of_row = {"app_id": team.app_id, "workflow_id": workflow.id, "workflow_version_id": workflow.active_version_id}
    async with transaction() as session:
        # of 201 passes the newest hundred took 1 to 100 seconds, the older ones 1000
        await session.execute(sa.update(WorkflowStep).where(WorkflowStep.execution_id == row.id).values(ended_at=start))
        for no in range(1, 201):
            took, id_ = (1000 if no <= 100 else no - 100) * SECOND, new_id()
            ended = start + timedelta(days=1) + no * timedelta(hours=1)
            made = {"id": id_, "trigger_key": str(id_), "open_steps": 0, "status": "COMPLETED", "ended_at": ended}
            session.add(WorkflowExecution(**made, contact_id=contact.id, **of_row))
            await session.flush()
            step = {"node_id": "a", "kind": "add_tag", "status": StepStatus.COMPLETED, "due_at": ended}
            session.add(WorkflowStep(execution_id=id_, created_at=ended - took, ended_at=ended, **step, **of_row))
    (only,) = (await numbers(team, workflow)).nodes
    assert (only.median_seconds, only.p95_seconds) == pytest.approx((50.5, 95.05))


async def test_an_index_finds_the_newest_passes(team: Team) -> None:
    workflow = await factories.workflow(team)
    asked = analytics.times_of(team.app_id, [(workflow.active_version_id, "greet")])
    assert "Index Scan Backward using ix_workflow_steps_passed" in await explained(asked)


async def test_days_are_those_of_the_zone(team: Team) -> None:
    contact = await factories.person(team.app_id)
    workflow = await active(team, of(node("a", "add_tag", tag="a"), reentry="ALWAYS"))
    for at in ("2026-03-28T22:59:59", "2026-03-28T23:00:00", "2026-03-29T21:59:59", "2026-03-29T22:00:00"):
        with time_machine.travel(datetime.fromisoformat(at).replace(tzinfo=UTC), tick=False):
            await happens(team, contact.id, "user_signup")
    with time_machine.travel(datetime(2026, 3, 30, 12, tzinfo=UTC), tick=False):
        seen = await numbers(team, workflow, days=3, zone="Europe/Berlin")
    assert seen.executions_by_day == [DayCount("2026-03-28", 1), DayCount("2026-03-29", 2), DayCount("2026-03-30", 1)]
    for wrong in ({"days": 0}, {"days": 366}, {"zone": "Mars/Olympus"}):
        with pytest.raises(Invalid):
            await numbers(team, workflow, **wrong)
    with pytest.raises(NotFound):
        await numbers(await factories.team(), workflow)


async def corrupt(workflow: Workflow) -> None:
    async with transaction() as session:
        await session.execute(
            sa.delete(WorkflowMove).where(WorkflowMove.workflow_id == workflow.id, WorkflowMove.node_id == "a")
        )
        await session.execute(
            sa.delete(WorkflowTally).where(WorkflowTally.workflow_id == workflow.id, WorkflowTally.node_id == "a")
        )


async def test_a_count_that_is_wrong_is_found_and_mended_beside_workers(team: Team) -> None:
    people = [await factories.person(team.app_id) for _ in range(6)]
    workflow = await active(team, of(node("a", "add_tag", tag="a")))
    await happens(team, people[0].id, "user_signup")
    await corrupt(workflow)
    wrong = [Difference("a entered", 0, 1), Difference("a passed", 0, 1)]
    assert await differences(workflow) == wrong
    for one in people[1:]:
        await track(team, one.id, "user_signup")
    await asyncio.gather(work(), *(differences(workflow, mend=True) for _ in range(3)), fold())
    assert await differences(workflow) == []


async def test_of_an_old_workflow_what_is_in_progress_is_compared(team: Team) -> None:
    contact = await factories.person(team.app_id)
    workflow = await active(team, of(node("a", "add_tag", tag="a"), node("b"), edges="a-b"))
    await happens(team, contact.id, "user_signup")
    async with transaction() as session:
        own = sa.update(Workflow).where(Workflow.id == workflow.id)
        await session.execute(own.values(created_at=now() - timedelta(days=400)))
    await corrupt(workflow)
    assert await differences(workflow) == []
    async with transaction() as session:
        await session.execute(sa.delete(WorkflowExecution).where(WorkflowExecution.workflow_id == workflow.id))
    gone = [Difference("b in progress", 1, 0), Difference("executions in progress", 1, 0)]
    assert await differences(workflow, mend=True) == gone
    assert await differences(workflow) == []


async def test_the_command_counts_workflows_too(team: Team) -> None:
    contact = await factories.person(team.app_id)
    workflow = await active(team, of(node("a", "add_tag", tag="a")))
    await happens(team, contact.id, "user_signup")
    ended = await replyhq("recount", "--quiet", str(workflow.id))
    assert (ended.code, ended.out, ended.err) == (0, "1 workflows counted, 0 differ\n", "")
    await corrupt(workflow)
    told = f"{workflow.id}:\n  a entered: 0, should be 1\n  a passed: 0, should be 1\n"
    ended = await replyhq("recount", "--quiet", "--mend", str(workflow.id))
    assert (ended.code, ended.out) == (1, f"{told}1 workflows counted, 1 mended\n")
    ended = await replyhq("recount", "--quiet", str(workflow.id))
    assert (ended.code, ended.out) == (0, "1 workflows counted, 0 differ\n")
