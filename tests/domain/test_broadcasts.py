"""The rules of sending: leases and fences, intents, the finish, pause and cancel, the counts."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine

from core.clock import now
from core.database import transaction
from domain import reports
from domain.broadcasts import audience, batches, chunks, control, expansion, progress, starting, turns
from domain.broadcasts.chunks import LeaseLostError, send_key
from domain.broadcasts.results import Result
from domain.in_app_messages import Draft, ReceiptKind, Report, message_id, store
from models.broadcasts import (
    Broadcast,
    BroadcastChunk,
    BroadcastRecipient,
    BroadcastStatus,
    ChunkStatus,
    RecipientStatus,
)
from models.devices import Platform
from models.facts import Fact
from models.in_app_messages import InAppMessage
from tests.support import factories
from tests.support.factories import Team, principal
from tests.support.sending import begin, claim, failed, leased, record


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MICRO_BATCH", 2)
    monkeypatch.setattr(expansion, "SLICE", 4)


@pytest.fixture
def chunks_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    config = expansion.config().model_copy(update={"chunk_size": 3})
    monkeypatch.setattr(expansion, "config", lambda: config)


async def due(broadcast: Broadcast) -> list[int]:
    """Which chunks of this broadcast the clock would wake."""
    async with transaction() as session:
        return [no for id_, no in await turns.due(session) if id_ == broadcast.id]


async def send_all(broadcast: Broadcast, no: int) -> None:
    """As the worker does: a result and the next intent in one transaction."""
    lease = await leased(broadcast, no)
    seqs = await begin(lease)
    while seqs:
        await record(lease, *(Result(seq) for seq in seqs))
        seqs = await begin(lease)


async def read(broadcast: Broadcast, team: Team) -> progress.Progress:
    async with transaction() as session:
        return await progress.read(session, team.app_id, broadcast.id)


async def chunk(broadcast: Broadcast, no: int = 1) -> BroadcastChunk:
    async with transaction() as session:
        return (await session.scalars(chunks._this(broadcast.id, no))).one()


async def test_recipients_are_written_in_slices_each_device_once(team: Team, chunks_of_three: None) -> None:
    broadcast = await factories.sending(team, 10)
    async with transaction() as session:
        rows = (await session.scalars(sa.select(BroadcastRecipient).filter_by(broadcast_id=broadcast.id))).all()
        cut = (await session.scalars(sa.select(BroadcastChunk).filter_by(broadcast_id=broadcast.id))).all()
    assert sorted(row.seq for row in rows) == list(range(1, 11))
    assert len({row.device_id for row in rows}) == 10
    assert sorted((one.lo_seq, one.hi_seq) for one in cut) == [(1, 3), (4, 6), (7, 9), (10, 10)]


async def test_an_expansion_that_crashed_goes_on_at_its_cursor(team: Team) -> None:
    await factories.contacts(team.app_id, 10)
    broadcast = await factories.broadcast(team, status=BroadcastStatus.SENDING, sent_at=now())

    async def slice_() -> bool:
        async with transaction() as session:
            return await expansion.expand_slice(session, broadcast.id)

    assert await slice_()
    with pytest.raises(ZeroDivisionError):
        await _crash_after_a_slice(broadcast)
    assert (await slice_(), await slice_()) == (True, False)
    assert (await read(broadcast, team)).stats.total_recipients == 10


async def _crash_after_a_slice(broadcast: Broadcast) -> None:
    async with transaction() as session:
        await expansion.expand_slice(session, broadcast.id)
        raise ZeroDivisionError


async def test_an_audience_that_emptied_meanwhile_fails_the_broadcast(team: Team) -> None:
    broadcast = await factories.broadcast(team, status=BroadcastStatus.SENDING, sent_at=now())
    async with transaction() as session:
        assert not await expansion.expand_slice(session, broadcast.id)
    assert (await read(broadcast, team)).status is BroadcastStatus.FAILED


async def test_one_chunk_has_one_owner_at_a_time(team: Team) -> None:
    broadcast = await factories.sending(team, 3)
    leases = await asyncio.gather(*(claim(broadcast) for _ in range(8)))
    assert len([lease for lease in leases if lease]) == 1


async def test_a_lease_that_ran_out_is_taken_over_and_its_owner_writes_nothing_more(team: Team) -> None:
    broadcast = await factories.sending(team, 3)
    old = await leased(broadcast)
    assert await begin(old) == [1, 2]
    with time_machine.travel(now() + timedelta(seconds=60)):
        new = await leased(broadcast)
        assert new.fence == old.fence + 1
        with pytest.raises(LeaseLostError):
            await record(old, Result(1), Result(2))
        assert await begin(new) == [1, 2]
        await record(new, Result(1), Result(2))
        assert await begin(new) == [3]
        await record(new, Result(3))
        assert await begin(new) == []
    seen = await read(broadcast, team)
    assert (seen.status, seen.stats.total_sent) == (BroadcastStatus.SENT, 3)


async def test_the_range_about_to_be_sent_is_committed_first(team: Team) -> None:
    broadcast = await factories.sending(team, 3)
    lease = await leased(broadcast)
    await begin(lease)
    row = await chunk(broadcast)
    assert (row.inflight_lo, row.inflight_hi, row.status) == (1, 2, ChunkStatus.LEASED)
    await record(lease, Result(1), Result(2))
    assert (await chunk(broadcast)).inflight_lo is None


async def test_last_chunks_that_end_at_once_finish_the_broadcast_once(team: Team, chunks_of_three: None) -> None:
    for _ in range(5):
        broadcast = await factories.sending(await factories.team(), 12)
        await asyncio.gather(*(send_all(broadcast, no) for no in range(1, 5)))
        async with transaction() as session:
            row = await session.get_one(Broadcast, broadcast.id)
            told = await session.scalars(sa.select(Fact.kind).where(Fact.entity_id == broadcast.id))
        assert (row.status, [kind.value for kind in told]) == (BroadcastStatus.SENT, ["broadcast.sent"])


async def test_pause_holds_after_the_micro_batch_and_resume_goes_on_with_the_rest(team: Team) -> None:
    broadcast = await factories.sending(team, 4)
    lease = await leased(broadcast)
    assert await begin(lease) == [1, 2]
    async with transaction() as session:
        await control.pause(session, principal(team), broadcast.id)
    await record(lease, Result(1), Result(2))
    assert await begin(lease) == []
    assert await claim(broadcast) is None
    assert (await read(broadcast, team)).limiter is progress.BroadcastLimiter.PAUSE
    async with transaction() as session:
        await control.resume(session, principal(team), broadcast.id)
    assert await due(broadcast) == [1]
    again = await leased(broadcast)
    assert await begin(again) == [3, 4]


async def test_a_pause_at_the_last_moment_does_not_leave_it_unfinished(team: Team) -> None:
    broadcast = await factories.sending(team, 1)
    lease = await leased(broadcast)
    await begin(lease)
    await record(lease, Result(1))
    async with transaction() as session:
        await control.pause(session, principal(team), broadcast.id)
    assert await begin(lease) == []
    async with transaction() as session:
        await control.resume(session, principal(team), broadcast.id)
    await send_all(broadcast, 1)
    assert (await read(broadcast, team)).status is BroadcastStatus.SENT


async def test_resume_finishes_what_had_nothing_left(team: Team) -> None:
    broadcast = await factories.sending(team, 1)
    await send_all(broadcast, 1)
    async with transaction() as session:
        await session.execute(sa.update(Broadcast).filter_by(id=broadcast.id).values(status=BroadcastStatus.PAUSED))
    async with transaction() as session:
        resumed = await control.resume(session, principal(team), broadcast.id)
    assert resumed.status is BroadcastStatus.SENT


async def test_cancel_stops_and_nothing_is_due_any_more(team: Team) -> None:
    broadcast = await factories.sending(team, 4)
    lease = await leased(broadcast)
    await begin(lease)
    async with transaction() as session:
        await control.cancel(session, principal(team), broadcast.id)
    await record(lease, Result(1), Result(2))
    assert await begin(lease) == []
    assert (await chunk(broadcast)).due_at is None
    seen = await read(broadcast, team)
    assert (seen.status, seen.stats.total_sent, seen.pending) == (BroadcastStatus.CANCELLED, 2, 2)


async def test_a_chunk_nobody_has_is_due_and_given_out_once_in_a_while(team: Team) -> None:
    broadcast = await factories.sending(team, 1)
    assert await due(broadcast) == [1]
    assert await due(broadcast) == []
    with time_machine.travel(now() + timedelta(minutes=10)):  # it grows with all that waits, other tests' too
        assert await due(broadcast) == [1]
    await send_all(broadcast, 1)
    with time_machine.travel(now() + timedelta(hours=1)):
        assert await due(broadcast) == []


async def test_failures_are_counted_by_themselves_and_all_of_them_fail_the_broadcast(team: Team) -> None:
    broadcast = await factories.sending(team, 2)
    lease = await leased(broadcast)
    await begin(lease)
    await record(lease, failed(1), failed(2))
    assert await begin(lease) == []
    seen = await read(broadcast, team)
    assert (seen.status, seen.stats.total_sent, seen.stats.total_failed) == (BroadcastStatus.FAILED, 0, 2)


async def test_a_report_that_overtakes_the_result_is_not_undone_by_it(team: Team) -> None:
    broadcast = await factories.sending(team, 1)
    lease = await leased(broadcast)
    await begin(lease)
    device_id, key = await _deliver(team, broadcast)
    async with transaction() as session:
        await reports.take(session, [Report(device_id, message_id(key), ReceiptKind.OPENED)], now())
    await record(lease, Result(1))
    async with transaction() as session:
        row = await session.get_one(BroadcastRecipient, (broadcast.id, 1))
    assert row.status is RecipientStatus.OPENED
    assert row.delivered_at == row.opened_at
    stats = (await read(broadcast, team)).stats
    assert (stats.total_sent, stats.total_delivered, stats.total_opened, stats.total_clicked) == (1, 1, 1, 0)


async def _deliver(team: Team, broadcast: Broadcast) -> tuple[UUID, str]:
    """Store the in-app message of recipient 1, as the channel does."""
    key = send_key(broadcast.id, 1)
    async with transaction() as session:
        recipient = await session.get_one(BroadcastRecipient, (broadcast.id, 1))
        await store(session, team.app_id, [Draft(key, recipient.device_id, "Hello", "World", None)])
    assert recipient.device_id
    return recipient.device_id, key


async def test_one_that_arrived_before_a_crash_counts_as_sent_though_its_device_is_gone(team: Team) -> None:
    broadcast = await factories.sending(team, 1)
    lease = await leased(broadcast)
    await begin(lease)
    device_id, key = await _deliver(team, broadcast)
    async with transaction() as session:
        await reports.take(session, [Report(device_id, message_id(key), ReceiptKind.DELIVERED)], now())
    await record(lease, failed(1))
    assert await begin(lease) == []
    seen = await read(broadcast, team)
    assert (seen.status, seen.stats.total_sent, seen.stats.total_failed) == (BroadcastStatus.SENT, 1, 0)


async def test_a_thousand_reports_at_once(team: Team) -> None:
    broadcast = await factories.sending(team, 1_000)
    async with transaction() as session:
        rows = (await session.scalars(sa.select(BroadcastRecipient).filter_by(broadcast_id=broadcast.id))).all()
        keys = {send_key(broadcast.id, row.seq): row.device_id for row in rows}
        await store(session, team.app_id, [Draft(key, device, "Hello", "World", None) for key, device in keys.items()])
    given = [Report(device, message_id(key), ReceiptKind.OPENED) for key, device in keys.items()]
    told = await asyncio.gather(*(reports.taken.ask([one]) for one in given))
    assert told == [1] * 1_000
    stats = (await read(broadcast, team)).stats
    assert (stats.total_delivered, stats.total_opened) == (1_000, 1_000)


async def test_no_whatsapp_number_is_reached_in_app(team: Team) -> None:
    await factories.contacts(team.app_id, 2, Platform.WHATSAPP)
    broadcast = await factories.broadcast(team)
    async with transaction() as session:
        assert await audience.is_empty(session, broadcast)


def test_the_pace_is_that_of_the_last_ten_seconds() -> None:
    pace, start = progress.Pace(), now()

    def seen(seconds: int, sent: int, status: BroadcastStatus = BroadcastStatus.SENDING) -> float | None:
        stats = progress.Stats(total_recipients=1_000, total_sent=sent)
        at = start + timedelta(seconds=seconds)
        state = progress.Progress(
            id=UUID(int=0),
            status=status,
            stats=stats,
            expanded=True,
            chunks_leased=1,
            chunks_waiting=0,
            chunks_open=1,
            speed=None,
            started_at=start,
            ended_at=None,
            at=at,
        )
        return pace.of(state).rate

    assert seen(0, 0) is None
    assert seen(5, 50) == 10.0
    assert seen(6, 50, BroadcastStatus.PAUSED) is None
    assert seen(3_600, 50) is None
    assert seen(3_601, 70) == 20.0


async def test_a_send_done_twice_stores_one_message(team: Team) -> None:
    broadcast = await factories.sending(team, 1)
    device_id, _ = await _deliver(team, broadcast)
    await _deliver(team, broadcast)
    async with transaction() as session:
        kept = (await session.scalars(sa.select(InAppMessage.sequence).filter_by(device_id=device_id))).all()
    assert kept == [1]


async def test_the_same_report_many_times_at_once_counts_once(team: Team) -> None:
    broadcast = await factories.sending(team, 1)
    await send_all(broadcast, 1)
    device_id, key = await _deliver(team, broadcast)

    async def report() -> int:
        async with transaction() as session:
            return len(await reports.take(session, [Report(device_id, message_id(key), ReceiptKind.CLICKED)], now()))

    assert sorted(await asyncio.gather(*(report() for _ in range(8)))) == [0] * 7 + [1]
    stats = (await read(broadcast, team)).stats
    assert (stats.total_delivered, stats.total_opened, stats.total_clicked) == (1, 1, 1)


async def test_a_device_reports_on_its_own_messages_only(team: Team) -> None:
    broadcast = await factories.sending(team, 1)
    _, key = await _deliver(team, broadcast)
    (other,) = await factories.contacts((await factories.team()).app_id, 1)
    async with transaction() as session:
        assert await reports.take(session, [Report(other, message_id(key), ReceiptKind.OPENED)], now()) == set()
    assert (await read(broadcast, team)).stats.total_opened == 0


async def test_a_scheduled_broadcast_is_started_once_by_many_clocks(team: Team) -> None:
    await factories.contacts(team.app_id, 1)
    broadcast = await factories.broadcast(
        team, status=BroadcastStatus.SCHEDULED, scheduled_at=now() + timedelta(minutes=1)
    )

    async def tick() -> int:
        async with transaction() as session:
            return await starting.start_due(session)

    assert await tick() == 0
    with time_machine.travel(now() + timedelta(minutes=2)):
        assert sum(await asyncio.gather(*(tick() for _ in range(5)))) == 1
    assert (await read(broadcast, team)).status is BroadcastStatus.SENDING
