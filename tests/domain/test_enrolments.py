"""Many let into a workflow: by hand, by the API, by the clock. Everybody once, in slices, and giving way. E8, B7."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.database import transaction
from core.errors import Conflict, IdempotencyKeyReused, Invalid, NotFound
from core.ids import new_id
from domain import contacts
from domain.enrolments import control, slices, ticking
from domain.enrolments.control import Audience
from domain.executions import tallies
from domain.segments import saved
from domain.workflows import drafts, versions
from jobs import entries as jobs
from models.contacts import Contact
from models.executions import WorkflowExecution, WorkflowStep, WorkflowWait
from models.workflow_enrolments import EnrolmentAudience, EnrolmentStatus, WorkflowEnrolment, WorkflowSchedule
from models.workflows import Workflow
from tests.support import factories
from tests.support.executions import active, executions, pause, resume, work
from tests.support.factories import Team, principal
from tests.support.workflows import node, of

EVERYBODY = Audience()
MANUAL = of(node("a"), goal={"event_name": "bought", "within": "1d"}) | {"trigger": {"type": "manual"}}
NOON = datetime(2030, 3, 4, 12, 0, 30, tzinfo=UTC)


def scheduled(segment_id: UUID | None = None, **rest: object) -> dict[str, object]:
    """Every hour, at minute 15."""
    chosen = {"segment_id": str(segment_id)} if segment_id else {}
    trigger = {"type": "schedule", "cron": "15 * * * *", "time_zone": "Europe/Berlin", **chosen}
    return of(node("a"), reentry="ALWAYS", **rest) | {"trigger": trigger}


async def people(team: Team, count: int, **fields: object) -> list[UUID]:
    return [(await factories.person(team.app_id, **fields)).id for _ in range(count)]


async def enrol(team: Team, workflow: Workflow, audience: Audience, key: str | None = None) -> WorkflowEnrolment:
    async with transaction() as session:
        return await control.enrol(session, principal(team), workflow.id, audience, key)


async def enrolments(workflow: Workflow) -> list[WorkflowEnrolment]:
    async with transaction() as session:
        own = sa.select(WorkflowEnrolment).where(WorkflowEnrolment.workflow_id == workflow.id)
        return list(await session.scalars(own.order_by(WorkflowEnrolment.id)))


async def counts(workflow: Workflow) -> list[tuple[EnrolmentStatus, int, int]]:
    return [(one.status, one.entered, one.kept_out) for one in await enrolments(workflow)]


async def entered(workflow: Workflow) -> list[UUID | None]:
    return [one.contact_id for one in await executions(workflow)]


@pytest.fixture(params=[2, 500], ids=["slices of two", "one slice"], autouse=True)
def slice_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE", request.param)


async def test_everybody_comes_in_once_with_a_step_a_goal_and_counts(team: Team) -> None:
    everybody = await people(team, 5)
    await factories.person((await factories.team()).app_id)
    workflow = await active(team, MANUAL)
    row = await enrol(team, workflow, EVERYBODY)
    await jobs.enrol_all()
    assert sorted(map(str, await entered(workflow))) == sorted(map(str, everybody))
    assert await counts(workflow) == [(EnrolmentStatus.COMPLETED, 5, 0)]
    assert {one.trigger_key for one in await executions(workflow)} == {f"enrolment:{row.id}:{id_}" for id_ in everybody}
    async with transaction() as session:
        of_it = sa.select(sa.func.count()).select_from(WorkflowExecution).where(WorkflowExecution.app_id == team.app_id)
        steps = of_it.join(WorkflowStep, WorkflowStep.execution_id == WorkflowExecution.id)
        waits = of_it.join(WorkflowWait, WorkflowWait.execution_id == WorkflowExecution.id)
        assert (await session.scalar(steps), await session.scalar(waits)) == (5, 5)
        assert workflow.active_version_id
        found = await tallies.of_versions(session, team.app_id, [workflow.active_version_id])
    assert {key[1]: numbers["entered"] for key, numbers in found.items()} == {"": 5, "a": 5}


async def test_who_is_in_is_kept_out_and_counted(team: Team) -> None:
    ids = await people(team, 3)
    workflow = await active(team, MANUAL)
    await enrol(team, workflow, Audience(contact_ids=[ids[2], ids[0], ids[0]]))
    await jobs.enrol_all()
    assert await entered(workflow) == sorted([ids[0], ids[2]])
    await enrol(team, workflow, EVERYBODY)
    await jobs.enrol_all()
    assert sorted(map(str, await entered(workflow))) == sorted(map(str, ids))
    assert [one[1:] for one in await counts(workflow)] == [(2, 0), (1, 2)]


async def test_a_segment_is_as_it_was_and_the_trigger_has_the_last_word(team: Team) -> None:
    segment = await factories.segment(team)
    free, vip = await people(team, 3, plan="free"), await people(team, 2, plan="free", tags=["vip"])
    await people(team, 2, plan="pro", tags=["vip"])
    only = {"type": "manual", "conditions": {"field": "tags", "operator": "contains", "value": "vip"}}
    workflow = await active(team, MANUAL | {"trigger": only})
    await enrol(team, workflow, Audience(segment_id=segment.id))
    async with transaction() as session:
        changed = {"conditions": {"field": "plan", "operator": "eq", "value": "pro"}}
        await saved.update(session, principal(team), segment.id, changed)
    await jobs.enrol_all()
    assert sorted(map(str, await entered(workflow))) == sorted(map(str, vip))
    assert await counts(workflow) == [(EnrolmentStatus.COMPLETED, len(vip), len(free))]


async def test_what_asks_twice_is_done_once(team: Team) -> None:
    await people(team, 1)
    workflow = await active(team, MANUAL)
    first, again = [await enrol(team, workflow, EVERYBODY, "once") for _ in range(2)]
    assert first.id == again.id
    with pytest.raises(IdempotencyKeyReused):
        await enrol(team, workflow, Audience(contact_ids=await people(team, 1)), "once")


async def test_what_cannot_be_is_refused(team: Team) -> None:
    (id_,) = await people(team, 1)
    other = await factories.team()
    workflow, by_event = await active(team, MANUAL), await active(team, of(node("a")), "By event")
    segment = await factories.segment(other)
    (stranger,) = await people(other, 1)
    with pytest.raises(Conflict, match="manual"):
        await enrol(team, by_event, EVERYBODY)
    for ids in ([], [new_id() for _ in range(1_001)], [id_, stranger]):
        with pytest.raises(Invalid):
            await enrol(team, workflow, Audience(contact_ids=ids))
    with pytest.raises(NotFound):
        await enrol(team, workflow, Audience(segment_id=segment.id))
    with pytest.raises(NotFound):
        await enrol(other, workflow, EVERYBODY)
    await pause(team, workflow)
    with pytest.raises(Conflict, match="activate"):
        await enrol(team, workflow, EVERYBODY)
    assert await enrolments(workflow) == []


async def test_it_waits_while_the_workflow_is_paused_and_ends_with_it(team: Team) -> None:
    await people(team, 1)
    workflow = await active(team, MANUAL)
    await enrol(team, workflow, EVERYBODY)
    start = now()
    with time_machine.travel(start, tick=True):
        await pause(team, workflow)
        await jobs.enrol_all()
        assert await counts(workflow) == [(EnrolmentStatus.RUNNING, 0, 0)]
        await resume(team, workflow)
    with time_machine.travel(start + timedelta(seconds=10), tick=True):
        await jobs.enrol_all()
        assert await counts(workflow) == [(EnrolmentStatus.COMPLETED, 1, 0)]
        await enrol(team, workflow, EVERYBODY)
        async with transaction() as session:
            await versions.archive(session, principal(team), workflow.id)
        await jobs.enrol_all()
    assert (await counts(workflow))[1] == (EnrolmentStatus.CANCELLED, 0, 0)


async def test_it_can_be_stopped_in_the_middle(team: Team) -> None:
    await people(team, 5)
    workflow = await active(team, MANUAL)
    row = await enrol(team, workflow, EVERYBODY)
    async with transaction() as session:
        found = await session.get_one(WorkflowEnrolment, row.id)
        await slices.go_on(session, found)
    in_by_then = len(await entered(workflow))
    if in_by_then == 5:
        async with transaction() as session:
            with pytest.raises(Conflict):
                await control.cancel(session, principal(team), row.id)
        return
    for _ in range(2):
        async with transaction() as session:
            await control.cancel(session, principal(team), row.id)
    await jobs.enrol_all()
    assert in_by_then == 2
    assert await counts(workflow) == [(EnrolmentStatus.CANCELLED, 2, 0)]


async def test_a_slice_that_is_lost_is_done_again_and_nobody_is_in_twice(team: Team) -> None:
    ids = await people(team, 5)
    workflow = await active(team, MANUAL | {"reentry": "ALWAYS"})
    row = await enrol(team, workflow, EVERYBODY)
    async with transaction() as session:
        assert await slices.go_on(session, await session.get_one(WorkflowEnrolment, row.id)) > 0
        await session.rollback()
    assert await entered(workflow) == []
    await asyncio.gather(*(jobs.enrol_all() for _ in range(4)))
    assert sorted(map(str, await entered(workflow))) == sorted(map(str, ids))
    assert await counts(workflow) == [(EnrolmentStatus.COMPLETED, 5, 0)]


async def test_a_slice_that_breaks_is_put_off_and_keeps_no_other(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    await people(team, 2)
    broken, sound = await active(team, MANUAL), await active(team, MANUAL)
    await enrol(team, broken, EVERYBODY)
    real = slices.go_on

    async def break_one(session: AsyncSession, row: WorkflowEnrolment) -> int:
        if row.workflow_id == broken.id:
            raise RuntimeError("broken")
        return await real(session, row)

    with time_machine.travel(now(), tick=True) as clock:
        monkeypatch.setattr(slices, "go_on", break_one)
        await enrol(team, sound, EVERYBODY)
        await jobs.enrol_all()
        assert (len(await entered(broken)), len(await entered(sound))) == (0, 2)
        monkeypatch.undo()
        clock.shift(slices.LATER)
        await jobs.enrol_all()
    assert len(await entered(broken)) == 2


async def test_it_gives_way_while_the_workflow_is_busy(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "STEPS_MOST", 2)
    await people(team, 6)
    workflow = await active(team, MANUAL)
    await enrol(team, workflow, EVERYBODY)
    start = now()
    for no in range(6):
        with time_machine.travel(start + timedelta(seconds=2 * no), tick=True):
            await jobs.enrol_all()
            in_by_then = len(await entered(workflow))
            await jobs.enrol_all()
            assert len(await entered(workflow)) == in_by_then
            await work()
    assert await counts(workflow) == [(EnrolmentStatus.COMPLETED, 6, 0)]


async def test_whom_somebody_holds_comes_in_when_they_are_free(team: Team) -> None:
    ids = sorted(await people(team, 3))
    workflow = await active(team, MANUAL)
    await enrol(team, workflow, EVERYBODY)
    start = now()
    with time_machine.travel(start, tick=True):
        async with transaction() as holder:
            await holder.execute(sa.select(Contact.id).where(Contact.id == ids[1]).with_for_update())
            await jobs.enrol_all()
            assert await entered(workflow) == ids[:1]
    with time_machine.travel(start + timedelta(seconds=2), tick=True):
        await jobs.enrol_all()
    assert await entered(workflow) == ids
    assert await counts(workflow) == [(EnrolmentStatus.COMPLETED, 3, 0)]


async def test_who_is_erased_meanwhile_is_not_looked_at(team: Team) -> None:
    ids = await people(team, 3)
    workflow = await active(team, MANUAL)
    await enrol(team, workflow, Audience(contact_ids=ids))
    async with transaction() as session:
        await contacts.delete(session, principal(team), ids[1])
    await jobs.enrol_all()
    assert await counts(workflow) == [(EnrolmentStatus.COMPLETED, 2, 0)]


async def test_the_clock_lets_in_at_each_time_once(team: Team) -> None:
    segment = await factories.segment(team)
    ids = await people(team, 3, plan="free")
    await people(team, 1, plan="pro")
    with time_machine.travel(NOON, tick=True):
        workflow = await active(team, scheduled(segment.id))
        await jobs.serve_schedules()
        assert await enrolments(workflow) == []
    with time_machine.travel(NOON + timedelta(minutes=15), tick=True):
        await asyncio.gather(*(jobs.serve_schedules() for _ in range(4)))
        await jobs.enrol_all()
        assert sorted(map(str, await entered(workflow))) == sorted(map(str, ids))
    (row,) = await enrolments(workflow)
    told = (row.key, row.audience, row.segment_id, row.entered, row.created_by_id)
    assert told == ("schedule:2030-03-04T12:15:00+00:00", EnrolmentAudience.SEGMENT, segment.id, 3, None)


async def test_after_an_outage_it_runs_once_and_not_for_each_time(team: Team) -> None:
    await people(team, 1)
    with time_machine.travel(NOON, tick=True):
        workflow = await active(team, scheduled())
    with time_machine.travel(NOON + timedelta(hours=7), tick=True):
        for _ in range(3):
            await jobs.serve_schedules()
        await jobs.enrol_all()
        assert len(await entered(workflow)) == 1
    with time_machine.travel(NOON + timedelta(hours=7, minutes=15), tick=True):
        await jobs.serve_schedules()
        await jobs.enrol_all()
    assert [one.key for one in await enrolments(workflow)] == [
        "schedule:2030-03-04T12:15:00+00:00",
        "schedule:2030-03-04T19:15:00+00:00",
    ]


async def test_the_times_of_a_pause_are_not_made_up_and_a_new_version_has_its_own(team: Team) -> None:
    await people(team, 1)

    async def next_at() -> datetime | None:
        async with transaction() as session:
            own = sa.select(WorkflowSchedule.next_at).where(WorkflowSchedule.workflow_id == workflow.id)
            return await session.scalar(own)

    with time_machine.travel(NOON, tick=True):
        workflow = await active(team, scheduled())
        await pause(team, workflow)
        assert await next_at() is None
    with time_machine.travel(NOON + timedelta(hours=3), tick=True):
        await resume(team, workflow)
        await jobs.serve_schedules()
        assert (await enrolments(workflow), await next_at()) == ([], datetime(2030, 3, 4, 15, 15, tzinfo=UTC))
        other = scheduled() | {"trigger": {"type": "schedule", "cron": "30 9 * * *", "time_zone": "Europe/Berlin"}}
        async with transaction() as session:
            await drafts.update(session, principal(team), workflow.id, {"definition": other})
            await versions.publish(session, principal(team), workflow.id)
        assert await next_at() == datetime(2030, 3, 5, 8, 30, tzinfo=UTC)
        async with transaction() as session:
            await versions.archive(session, principal(team), workflow.id)
        assert await next_at() is None


async def tick_all() -> None:
    """Serve all schedules that are due, also those that other tests have left."""
    more = 1
    while more:
        async with transaction() as session:
            more = await ticking.tick(session)


async def test_the_segment_of_a_schedule_is_gone(team: Team) -> None:
    segment = await factories.segment(team)
    await people(team, 1, plan="free")
    with time_machine.travel(NOON, tick=True):
        workflow = await active(team, scheduled(segment.id))
        async with transaction() as session:
            await saved.delete(session, principal(team), segment.id)
    with time_machine.travel(NOON + timedelta(minutes=15), tick=True):
        await tick_all()
        await jobs.enrol_all()
    assert (await counts(workflow), await entered(workflow)) == ([(EnrolmentStatus.CANCELLED, 0, 0)], [])
