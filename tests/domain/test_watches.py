"""Segments that workflows wait for: who is in at the beginning, who comes in, who leaves, when nobody waits. E2."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine

from core.clock import now
from core.database import transaction
from domain import contacts
from domain.contacts import ContactFields
from domain.segments import saved
from domain.watches import sweeping
from jobs import entries as jobs
from models.contacts import Contact
from models.segment_watches import SegmentMember, SegmentWatch, WatchStatus
from models.segments import Segment
from models.workflow_signals import WorkflowSignal
from models.workflows import Workflow
from tests.support import factories
from tests.support.executions import active, executions, happens, pause, resume, work
from tests.support.factories import Team, principal
from tests.support.workflows import node, of

ROUND = timedelta(minutes=1, seconds=5)


async def swept() -> None:
    """All slices that are due now, and what comes of them."""
    while await jobs._sweep():
        pass
    await work()


def waiting_for(segment: Segment, **rest: object) -> dict[str, object]:
    trigger = {"type": "segment_entered", "segment_id": str(segment.id)}
    return of(node("a"), reentry="ALWAYS", **rest) | {"trigger": trigger}


async def watching(team: Team, segment: Segment) -> Workflow:
    """A workflow that waits for a segment whose baseline is written."""
    workflow = await active(team, waiting_for(segment))
    await swept()
    return workflow


async def member_ids(segment: Segment) -> set[UUID]:
    async with transaction() as session:
        own = sa.select(SegmentMember.contact_id).where(SegmentMember.segment_id == segment.id)
        return set(await session.scalars(own))


async def status(segment: Segment) -> WatchStatus | None:
    async with transaction() as session:
        return await session.scalar(sa.select(SegmentWatch.status).where(SegmentWatch.segment_id == segment.id))


async def set_plan(contact: Contact, plan: str) -> None:
    """What nobody tells of, as a statement by hand."""
    async with transaction() as session:
        await session.execute(sa.update(Contact).where(Contact.id == contact.id).values(plan=plan))


async def entered(workflow: Workflow) -> list[UUID | None]:
    return [one.contact_id for one in await executions(workflow)]


@pytest.fixture(params=[2, 2_000], ids=["slices of two", "one slice"], autouse=True)
def slice_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "SLICE", request.param)
    monkeypatch.setattr(sweeping, "FORGOTTEN_AT_ONCE", request.param)


async def test_who_is_in_at_the_beginning_does_not_enter_and_who_comes_does_once(team: Team) -> None:
    segment = await factories.segment(team)
    free = [await factories.person(team.app_id, plan="free") for _ in range(5)]
    rich = [await factories.person(team.app_id, plan="pro") for _ in range(4)]
    start = now()
    with time_machine.travel(start, tick=True):
        workflow = await watching(team, segment)
        assert (await entered(workflow), await member_ids(segment)) == ([], {one.id for one in free})
        await set_plan(rich[1], "free")
        await set_plan(free[0], "pro")
        await swept()
        assert await entered(workflow) == []
    for no in (1, 2):
        with time_machine.travel(start + no * ROUND, tick=True):
            await swept()
            assert await entered(workflow) == [rich[1].id]
    assert await member_ids(segment) == {one.id for one in [*free[1:], rich[1]]}
    with time_machine.travel(start + 3 * ROUND, tick=True):
        await set_plan(free[0], "free")
        await swept()
    assert await entered(workflow) == [rich[1].id, free[0].id]


async def test_a_change_of_a_contact_is_looked_at_at_once(team: Team) -> None:
    segment = await factories.segment(team)
    contact = await factories.person(team.app_id, plan="pro")
    workflow = await watching(team, segment)
    for plan in ("free", "free", "pro", "free"):
        async with transaction() as session:
            await contacts.update(session, principal(team), contact.id, ContactFields(plan=plan))
        await work()
    assert await entered(workflow) == [contact.id] * 2
    with time_machine.travel(now() + ROUND, tick=True):
        await swept()
    assert await entered(workflow) == [contact.id] * 2


async def test_an_event_of_any_name_makes_segments_looked_at(team: Team) -> None:
    bought = {"event": {"name": "bought", "operator": "gte", "count": 2}}
    segment = await factories.segment(team, conditions=bought)
    contact = await factories.person(team.app_id)
    workflow = await watching(team, segment)
    await happens(team, contact.id, "bought")
    assert await entered(workflow) == []
    await happens(team, contact.id, "bought")
    assert await entered(workflow) == [contact.id]


async def test_nobody_enters_before_the_baseline_is_written(team: Team) -> None:
    segment = await factories.segment(team)
    contact = await factories.person(team.app_id, plan="pro")
    workflow = await active(team, waiting_for(segment))
    async with transaction() as session:
        await contacts.update(session, principal(team), contact.id, ContactFields(plan="free"))
    await work()
    assert (await entered(workflow), await status(segment)) == ([], WatchStatus.BASELINE)
    await swept()
    assert (await entered(workflow), await status(segment)) == ([], WatchStatus.WATCHING)


async def test_who_fits_another_condition_enters(team: Team) -> None:
    segment = await factories.segment(team)
    free, rich = await factories.person(team.app_id, plan="free"), await factories.person(team.app_id, plan="pro")
    start = now()
    with time_machine.travel(start, tick=True):
        workflow = await watching(team, segment)
        changed = {"field": "plan", "operator": "in", "value": ["free", "pro"]}
        async with transaction() as session:
            await saved.update(session, principal(team), segment.id, {"conditions": changed})
    with time_machine.travel(start + ROUND, tick=True):
        await swept()
    assert (await entered(workflow), await member_ids(segment)) == ([rich.id], {free.id, rich.id})


async def test_what_nobody_waits_for_is_forgotten_and_begins_anew(team: Team) -> None:
    segment = await factories.segment(team)
    one, other = await factories.person(team.app_id, plan="free"), await factories.person(team.app_id, plan="pro")
    first, second = await watching(team, segment), await active(team, waiting_for(segment), "Second")
    await pause(team, first)
    assert await status(segment) is WatchStatus.WATCHING
    await pause(team, second)
    assert await status(segment) is WatchStatus.FORGETTING
    await swept()
    assert (await status(segment), await member_ids(segment)) == (None, set())
    await set_plan(other, "free")
    await resume(team, first)
    await swept()
    assert (await entered(first), await member_ids(segment)) == ([], {one.id, other.id})


async def test_a_segment_that_is_gone_is_forgotten(team: Team) -> None:
    segment = await factories.segment(team)
    await factories.person(team.app_id, plan="free")
    await watching(team, segment)
    async with transaction() as session:
        await saved.delete(session, principal(team), segment.id)
    with time_machine.travel(now() + ROUND, tick=True):
        await swept()
    assert (await status(segment), await member_ids(segment)) == (None, set())


async def test_an_erased_contact_leaves_nothing(team: Team) -> None:
    segment = await factories.segment(team)
    contact = await factories.person(team.app_id, plan="free")
    await watching(team, segment)
    async with transaction() as session:
        await contacts.delete(session, principal(team), contact.id)
    assert await member_ids(segment) == set()


async def test_clocks_and_workers_together_let_everybody_in_once(team: Team) -> None:
    segment = await factories.segment(team)
    people = [await factories.person(team.app_id, plan="pro") for _ in range(12)]
    start = now()
    with time_machine.travel(start, tick=True):
        workflow = await watching(team, segment)
        for contact in people[:6]:
            await set_plan(contact, "free")
    with time_machine.travel(start + ROUND, tick=True):

        async def change(contact: Contact) -> None:
            async with transaction() as session:
                await contacts.update(session, principal(team), contact.id, ContactFields(plan="free"))

        await asyncio.gather(swept(), swept(), work(), *(change(contact) for contact in people[3:]))
    for no in (2, 3):
        with time_machine.travel(start + no * ROUND, tick=True):
            await swept()
    assert sorted(str(one) for one in await entered(workflow)) == sorted(str(one.id) for one in people)
    assert await member_ids(segment) == {one.id for one in people}


async def test_whom_somebody_holds_is_not_waited_for(team: Team) -> None:
    segment = await factories.segment(team)
    held, free = await factories.person(team.app_id, plan="pro"), await factories.person(team.app_id, plan="pro")
    start = now()
    with time_machine.travel(start, tick=True):
        workflow = await watching(team, segment)
        await set_plan(held, "free")
        await set_plan(free, "free")
    with time_machine.travel(start + ROUND, tick=True):
        async with transaction() as holder:
            await holder.execute(sa.select(Contact.id).where(Contact.id == held.id).with_for_update())
            await swept()
            assert await entered(workflow) == [free.id]
    with time_machine.travel(start + 2 * ROUND, tick=True):
        await swept()
    assert await entered(workflow) == [free.id, held.id]


async def test_while_many_signals_wait_nobody_is_added(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.workflow_signals.MANY", 1)
    segment = await factories.segment(team)
    contact = await factories.person(team.app_id, plan="pro")
    start = now()
    with time_machine.travel(start, tick=True):
        workflow = await watching(team, segment)
        await set_plan(contact, "free")
    with time_machine.travel(start + ROUND, tick=True):
        async with transaction() as session:
            session.add(WorkflowSignal(app_id=team.app_id, contact_id=contact.id, kind="event", keys=["x"]))
        while await jobs._sweep():
            pass
        assert await member_ids(segment) == set()
        await work()
    with time_machine.travel(start + 2 * ROUND, tick=True):
        await swept()
    assert await entered(workflow) == [contact.id]
