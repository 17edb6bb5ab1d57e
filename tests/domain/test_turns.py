"""Whose turn it is: a few chunks of each broadcast at a time, and lost wake-ups come again without a flood."""

from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine

from core.clock import now
from core.database import transaction
from domain.broadcasts import control, expansion, turns
from domain.broadcasts.chunks import Lease
from domain.broadcasts.results import Result
from models.broadcasts import Broadcast, BroadcastChunk
from tests.support import factories
from tests.support.factories import Team, principal
from tests.support.sending import begin, leased, record

AT_ONCE = 3


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of two recipients, three of them at once."""
    config = turns.config().model_copy(update={"chunk_size": 2, "chunks_at_once": AT_ONCE})
    for module in (expansion, turns):
        monkeypatch.setattr(module, "config", lambda: config)


@pytest.fixture
def a_short_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever other tests left."""
    monkeypatch.setattr(turns, "WAIT_PER_CHUNK", timedelta(0))


async def due(broadcast: Broadcast) -> list[int]:
    async with transaction() as session:
        return [no for _, no in await turns.due(session, broadcast.id)]


async def with_turn(broadcast_id: UUID) -> list[int]:
    """The chunks that are queued or being sent."""
    having = sa.select(BroadcastChunk.no).where(
        BroadcastChunk.broadcast_id == broadcast_id, BroadcastChunk.due_at.is_not(None)
    )
    async with transaction() as session:
        return list(await session.scalars(having.order_by(BroadcastChunk.no)))


async def finish(lease: Lease) -> None:
    await record(lease, *(Result(seq) for seq in await begin(lease)))
    assert await begin(lease) == []


async def test_a_few_chunks_have_their_turn_and_one_more_as_one_is_through(team: Team) -> None:
    broadcast = await factories.sending(team, 12)
    assert await due(broadcast) == [1, 2, 3]
    await finish(await leased(broadcast, 2))
    assert await due(broadcast) == [4]
    assert await with_turn(broadcast.id) == [1, 3, 4]


async def test_chunks_that_are_not_at_turn_are_never_woken(team: Team, a_short_queue: None) -> None:
    broadcast = await factories.sending(team, 12)
    with time_machine.travel(now() + timedelta(hours=1)):
        assert await due(broadcast) == [1, 2, 3]


async def test_a_lost_wake_up_comes_again_after_five_seconds(team: Team, a_short_queue: None) -> None:
    broadcast = await factories.sending(team, 2)
    start = now()
    with time_machine.travel(start, tick=False):
        async with transaction() as session:
            await session.execute(sa.update(BroadcastChunk).filter_by(broadcast_id=broadcast.id).values(due_at=start))
        assert await due(broadcast) == [1]
    with time_machine.travel(start + turns.WAKE_AGAIN - timedelta(microseconds=1), tick=False):
        assert await due(broadcast) == []
    with time_machine.travel(start + turns.WAKE_AGAIN, tick=False):
        assert await due(broadcast) == [1]


async def test_a_long_queue_is_not_made_longer(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "WAIT_PER_CHUNK", timedelta(seconds=20))
    broadcast = await factories.sending(team, 6)
    assert await due(broadcast) == [1, 2, 3]
    with time_machine.travel(now() + timedelta(seconds=50)):
        assert await due(broadcast) == []


async def test_a_pause_and_a_resume_keep_to_the_number(team: Team) -> None:
    broadcast = await factories.sending(team, 12)
    leases = [await leased(broadcast, no) for no in (1, 2)]
    async with transaction() as session:
        await control.pause(session, principal(team), broadcast.id)
    assert await begin(leases[0]) == []
    async with transaction() as session:
        await control.resume(session, principal(team), broadcast.id)
    assert await due(broadcast) == [1, 3]
    assert await with_turn(broadcast.id) == [1, 2, 3]
    await finish(leases[1])
    assert await with_turn(broadcast.id) == [1, 3, 4]


async def test_a_broadcast_without_a_turn_is_found_and_goes_on(team: Team) -> None:
    broadcast = await factories.sending(team, 12)
    async with transaction() as session:
        await session.execute(sa.update(BroadcastChunk).filter_by(broadcast_id=broadcast.id).values(due_at=None))
    async with transaction() as session:
        assert broadcast.id in await turns.stalled(session)
        await turns.advance(session, broadcast.id)
    assert await due(broadcast) == [1, 2, 3]
    async with transaction() as session:
        assert broadcast.id not in await turns.stalled(session)
