"""Goals of broadcasts: who did what a broadcast was for, in time, once each. D9."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine

from core.clock import now
from core.database import transaction
from core.errors import Invalid
from domain import events
from domain.broadcasts import analytics, drafts, recounting
from domain.broadcasts.analytics import Analytics
from domain.broadcasts.drafts import Content
from domain.broadcasts.options import Goal, clean_options
from domain.broadcasts.receipts import Step
from domain.events import EventFields
from models.broadcasts import Broadcast, BroadcastRecipient, BroadcastStatus, BroadcastTally
from tests.domain.test_analytics import VARIANTS, advance, differences, send
from tests.support import factories
from tests.support.executions import active, executions, signals_left, track, work
from tests.support.factories import Team, principal
from tests.support.sending import failed
from tests.support.workflows import node, of

GOAL = {"goal_event_name": "bought", "goal_within_hours": 24}
HOUR = timedelta(hours=1)


async def contact_ids(broadcast: Broadcast) -> list[UUID]:
    """Of the recipients, by their number."""
    async with transaction() as session:
        own = sa.select(BroadcastRecipient.contact_id).where(BroadcastRecipient.broadcast_id == broadcast.id)
        return list(await session.scalars(own.order_by(BroadcastRecipient.seq)))


async def seen(team: Team, broadcast: Broadcast) -> Analytics:
    async with transaction() as session:
        return await analytics.read(session, team.app_id, broadcast.id)


async def conversions(team: Team, broadcast: Broadcast) -> int:
    return (await seen(team, broadcast)).conversions


async def sent(team: Team, count: int, **fields: Any) -> tuple[Broadcast, list[UUID]]:
    """A broadcast with a goal that has been sent to some contacts, and delivered to none as yet."""
    broadcast = await factories.sending(team, count, **GOAL | fields)
    await send(broadcast)
    return broadcast, await contact_ids(broadcast)


async def test_a_contact_counts_once_however_often_the_event_comes(team: Team) -> None:
    broadcast, (one, other, *_) = await sent(team, 3)
    await advance(broadcast, (1, Step.DELIVERED), (2, Step.OPENED))
    for contact_id in (one, one, other):
        await track(team, contact_id, "bought")
    await track(team, one, "looked")
    await work()
    await track(team, one, "bought")
    await work()
    found = await seen(team, broadcast)
    assert (found.conversions, found.conversion_rate) == (2, 1.0)
    assert await differences(broadcast) == []


async def test_without_deliveries_or_without_a_goal_there_is_no_rate(team: Team) -> None:
    broadcast, (one,) = await sent(team, 1)
    await track(team, one, "bought")
    await work()
    found = await seen(team, broadcast)
    assert (found.conversions, found.conversion_rate) == (1, None)
    plain = await factories.expanded(team)
    await send(plain)
    await advance(plain, (1, Step.DELIVERED))
    await track(team, one, "bought")
    await work()
    found = await seen(team, plain)
    assert (found.conversions, found.conversion_rate) == (0, None)


async def test_only_what_happens_within_the_hours_after_it_was_sent_counts(team: Team) -> None:
    start = now()
    with time_machine.travel(start, tick=True):
        early = await factories.contacts(team.app_id, 3)
        assert len(early) == 3
        broadcast = await factories.expanded(team, **GOAL)
        ids = await contact_ids(broadcast)
        await track(team, ids[0], "bought")
        await work()
    with time_machine.travel(start + HOUR, tick=True):
        await send(broadcast, failed(3))
        await track(team, ids[2], "bought")
        await work()
        assert await conversions(team, broadcast) == 0
    with time_machine.travel(start + 24 * HOUR, tick=True):
        await track(team, ids[1], "bought")
        await work()
        assert await conversions(team, broadcast) == 1
    with time_machine.travel(start + 26 * HOUR, tick=True):
        told = EventFields(
            contact_id=ids[0], user_id=None, name="bought", properties=None, occurred_at=None, key="late"
        )
        async with transaction() as session:
            await events.track(session, principal(team), told)
        await work()
        assert await conversions(team, broadcast) == 1
        happened = EventFields(**told | {"occurred_at": start + 2 * HOUR, "key": "told late"})
        async with transaction() as session:
            await events.track(session, principal(team), happened)
        await work()
    assert await conversions(team, broadcast) == 2
    assert await differences(broadcast) == []


async def test_by_variant(team: Team) -> None:
    broadcast, ids = await sent(team, 8, variants=VARIANTS)
    async with transaction() as session:
        own = sa.select(BroadcastRecipient.variant).where(BroadcastRecipient.broadcast_id == broadcast.id)
        variants = list(await session.scalars(own.order_by(BroadcastRecipient.seq)))
    await advance(broadcast, *((no, Step.DELIVERED) for no in range(1, 9)))
    for contact_id in ids[:5]:
        await track(team, contact_id, "bought")
    await work()
    found = await seen(team, broadcast)
    expected = [variants[:5].count(no) for no in (0, 1)]
    assert [one.conversions for one in found.variants] == expected
    assert [one.conversion_rate for one in found.variants] == [
        expected[no] / variants.count(no) if variants.count(no) else None for no in (0, 1)
    ]
    assert await differences(broadcast) == []


async def test_at_the_same_time_with_reports_nobody_is_lost_or_doubled(team: Team) -> None:
    broadcast, ids = await sent(team, 12)
    for contact_id in ids * 3:
        await track(team, contact_id, "bought")
    reports = [advance(broadcast, (no, Step.CLICKED)) for no in range(1, 13)]
    await asyncio.gather(work(), work(), work(), *reports)
    await work()
    found = await seen(team, broadcast)
    assert (found.conversions, found.stats.total_clicked, await signals_left(team)) == (12, 12, 0)
    assert await differences(broadcast) == []


async def test_a_contact_on_two_devices_counts_with_both(team: Team) -> None:
    (_,) = await factories.contacts(team.app_id, 1)
    broadcast = await factories.expanded(team, **GOAL)
    (one,) = await contact_ids(broadcast)
    await factories.devices_of(team.app_id, str(one), 1)
    both = await factories.expanded(team, **GOAL)
    await send(broadcast)
    await send(both)
    await track(team, one, "bought")
    await work()
    assert (await conversions(team, broadcast), await conversions(team, both)) == (1, 2)


async def test_an_event_that_no_broadcast_waits_for_leaves_no_signal(team: Team) -> None:
    draft = await factories.broadcast(team, **GOAL)
    broadcast, (one,) = await sent(team, 1)
    await track(team, one, "looked")
    assert await signals_left(team) == 0
    await track(team, one, "bought")
    assert await signals_left(team) == 1
    await work()
    async with transaction() as session:
        ended = {"status": BroadcastStatus.SENT, "completed_at": now() - timedelta(days=31)}
        await session.execute(sa.update(Broadcast).where(Broadcast.id == broadcast.id).values(**ended))
    await track(team, one, "bought")
    assert await signals_left(team) == 0
    other = await factories.team()
    person = await factories.person(other.app_id)
    await track(other, person.id, "bought")
    assert await signals_left(other) == 0
    assert draft.goal_event_name == "bought"


async def test_a_workflow_hears_of_the_same_event(team: Team) -> None:
    broadcast, (one,) = await sent(team, 1)
    workflow = await active(team, of(node("a")) | {"trigger": {"type": "event", "event_name": "bought"}})
    await track(team, one, "bought")
    await work()
    assert (await conversions(team, broadcast), len(await executions(workflow))) == (1, 1)


async def test_a_recount_mends_conversions(team: Team) -> None:
    broadcast, (one, _) = await sent(team, 2)
    await track(team, one, "bought")
    await work()
    async with transaction() as session:
        own = sa.update(BroadcastTally).where(BroadcastTally.broadcast_id == broadcast.id, BroadcastTally.shard == 1)
        await session.execute(own.values(converted=7))
    async with transaction() as session:
        found = await recounting.recount(session, broadcast.id, mend=True)
    assert [(one.name, one.kept, one.true) for one in found] == [("converted", 7, 1)]
    assert await differences(broadcast) == []


async def test_a_copy_has_the_goal_of_what_it_repeats(team: Team) -> None:
    source = await factories.broadcast(team, **GOAL)
    async with transaction() as session:
        copy = await drafts.duplicate(session, principal(team), source.id, None)
    assert (copy.goal_event_name, copy.goal_within_hours) == ("bought", 24)


async def test_a_goal_can_be_set_and_cleared(team: Team) -> None:
    asker, row = principal(team), await factories.broadcast(team)
    for goal in (Goal("bought", 720), Goal("looked", 1), None):
        async with transaction() as session:
            row = await drafts.update(session, asker, row.id, Content(goal=goal), None)
        assert (row.goal_event_name, row.goal_within_hours) == (
            goal.event_name if goal else None,
            goal.within_hours if goal else None,
        )


@pytest.mark.parametrize(
    ("goal", "field"),
    [
        (Goal("bought", 0), "options.goal.withinHours"),
        (Goal("bought", 721), "options.goal.withinHours"),
        (Goal(" ", 1), "options.goal.eventName"),
    ],
)
def test_a_goal_has_bounds(goal: Goal, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        clean_options({"goal": goal})
    assert refused.value.field == field
