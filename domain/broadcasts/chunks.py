"""Batches of a broadcast, each sent by one worker at a time under a lease.

Intent before effect: `begin` commits which recipients are about to be sent before the channel is called, `record`
writes what came of it. Every write carries the fence of the claim, so a worker that lost its lease changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.config import config
from domain import facts
from domain.broadcasts import turns
from domain.broadcasts.queries import topic
from models.broadcasts import (
    Broadcast,
    BroadcastChunk,
    BroadcastRecipient,
    BroadcastStatus,
    ChunkStatus,
    RecipientStatus,
)

GRACE = timedelta(seconds=2)
LOOK_BY = timedelta(seconds=30)
MICRO_BATCH = 200


class LeaseLostError(Exception):
    """Another worker has taken the chunk over; whoever gets this stops and writes nothing more."""


@dataclass(frozen=True)
class Lease:
    """The right to send one chunk, and what to send.

    Attributes:
        fence: proves the claim; a later claim has a higher one.
    """

    broadcast: Broadcast
    no: int
    lo_seq: int
    hi_seq: int
    fence: int


@dataclass(frozen=True)
class Unsent:
    """A recipient whose turn it is."""

    seq: int
    device_id: UUID


@dataclass(frozen=True)
class Result:
    """What came of sending to one recipient; `error_code` is None when the channel took it."""

    seq: int
    error_code: str | None = None


def send_key(broadcast_id: UUID, seq: int) -> str:
    """The identity of the send to one recipient: the same however often it is tried."""
    return f"b{broadcast_id}:{seq}"


async def claim(session: AsyncSession, broadcast_id: UUID, no: int) -> Lease | None:
    """The chunk under a new lease; None when there is nothing to do or another worker has it."""
    chunk = await session.scalar(_this(broadcast_id, no).with_for_update(skip_locked=True, key_share=True))
    if chunk is None or chunk.status is ChunkStatus.DONE or _is_leased(chunk):
        return None
    broadcast = await session.get(Broadcast, broadcast_id)
    if broadcast is None or broadcast.status is not BroadcastStatus.SENDING:
        _park(chunk, broadcast.status if broadcast else None)
        return None
    chunk.fence += 1
    _extend(chunk)
    await session.flush()
    return Lease(broadcast, no, chunk.lo_seq, chunk.hi_seq, chunk.fence)


def _this(broadcast_id: UUID, no: int) -> sa.Select[BroadcastChunk]:
    return sa.select(BroadcastChunk).where(BroadcastChunk.broadcast_id == broadcast_id, BroadcastChunk.no == no)


def _is_leased(chunk: BroadcastChunk) -> bool:
    """Whether a worker owns it still: a little longer than it believes itself, as clocks differ."""
    return chunk.status is ChunkStatus.LEASED and chunk.lease_until is not None and chunk.lease_until + GRACE > now()


def _extend(chunk: BroadcastChunk) -> None:
    """Own it from now for one lease; should nothing more be heard, the clock wakes it when the lease has run out."""
    chunk.status = ChunkStatus.LEASED
    chunk.lease_until = now() + timedelta(seconds=config().lease_seconds)
    chunk.due_at = chunk.lease_until + GRACE


def _park(chunk: BroadcastChunk, status: BroadcastStatus | None) -> None:
    """Let go of it while the broadcast is held. The clock still looks by, in case a resume has just missed it."""
    chunk.status = ChunkStatus.READY
    chunk.due_at = now() + LOOK_BY if status is BroadcastStatus.PAUSED else None


async def _owned(session: AsyncSession, lease: Lease) -> BroadcastChunk:
    """The chunk, locked, while the lease is still ours.

    Raises:
        LeaseLostError: it is not.
    """
    mine = _this(lease.broadcast.id, lease.no).where(BroadcastChunk.fence == lease.fence)
    chunk = await session.scalar(mine.with_for_update(key_share=True).execution_options(populate_existing=True))
    if chunk is None or chunk.status is not ChunkStatus.LEASED:
        raise LeaseLostError
    return chunk


async def begin(session: AsyncSession, lease: Lease) -> Sequence[Unsent]:
    """The next recipients to send to, their range committed as intent; empty when the chunk is through or held.

    Recipients that an earlier owner was about to send come again with the same key: the channel knows whether it has
    them already.
    """
    chunk = await _owned(session, lease)
    status = await _status(session, lease)
    if status is not BroadcastStatus.SENDING:
        _park(chunk, status)
        return []
    recipients = await _unsent(session, lease)
    if not recipients:
        await _finish(session, chunk)
        return []
    chunk.inflight_lo, chunk.inflight_hi = recipients[0].seq, recipients[-1].seq
    _extend(chunk)
    return recipients


async def _status(session: AsyncSession, lease: Lease) -> BroadcastStatus | None:
    return await session.scalar(sa.select(Broadcast.status).where(Broadcast.id == lease.broadcast.id))


async def _unsent(session: AsyncSession, lease: Lease) -> list[Unsent]:
    """Those of the chunk that have no result yet. A report may have come before the result: then sent_at is empty."""
    rows = sa.select(BroadcastRecipient.seq, BroadcastRecipient.device_id).where(
        BroadcastRecipient.broadcast_id == lease.broadcast.id,
        BroadcastRecipient.seq.between(lease.lo_seq, lease.hi_seq),
        BroadcastRecipient.sent_at.is_(None),
        BroadcastRecipient.status != RecipientStatus.FAILED,
    )
    found = await session.execute(rows.order_by(BroadcastRecipient.seq).limit(MICRO_BATCH))
    return [Unsent(seq, device_id) for seq, device_id in found]


async def record(session: AsyncSession, lease: Lease, results: Sequence[Result]) -> None:
    """Write what came of a micro-batch: the rows and the counts of the chunk, in one transaction.

    Raises:
        LeaseLostError: the chunk was taken over; nothing is written.
    """
    chunk = await _owned(session, lease)
    taken = [result.seq for result in results if result.error_code is None]
    refused = [result for result in results if result.error_code is not None]
    chunk.sent += await _mark_sent(session, lease, taken)
    chunk.sent += await _mark_arrived(session, lease, [result.seq for result in refused])
    chunk.failed += await _mark_failed(session, lease, refused)
    chunk.inflight_lo = chunk.inflight_hi = None
    facts.tick(session, topic(lease.broadcast.id))


async def _mark_sent(session: AsyncSession, lease: Lease, seqs: list[int]) -> int:
    """Set SENT, unless a device has reported more already. Returns how many had no result before."""
    status = sa.case(
        (BroadcastRecipient.status == RecipientStatus.PENDING, RecipientStatus.SENT), else_=BroadcastRecipient.status
    )
    without_result = BroadcastRecipient.sent_at.is_(None)
    return await _set(session, lease, seqs, without_result, {"status": status, "sent_at": now()})


async def _mark_arrived(session: AsyncSession, lease: Lease, seqs: list[int]) -> int:
    """Note as sent what a device had reported although the channel refuses it now. Returns how many.

    That is a message sent before a crash, to a device that was removed before the next owner tried.
    """
    reported = sa.and_(BroadcastRecipient.sent_at.is_(None), BroadcastRecipient.delivered_at.is_not(None))
    return await _set(session, lease, seqs, reported, {"sent_at": now()})


async def _mark_failed(session: AsyncSession, lease: Lease, refused: Sequence[Result]) -> int:
    """Set FAILED with its code. Returns how many were waiting until now."""
    waiting, count = BroadcastRecipient.status == RecipientStatus.PENDING, 0
    for code in sorted({result.error_code for result in refused if result.error_code}):
        seqs = [result.seq for result in refused if result.error_code == code]
        values = {"status": RecipientStatus.FAILED, "error_code": code}
        count += await _set(session, lease, seqs, waiting, values)
    return count


async def _set(
    session: AsyncSession, lease: Lease, seqs: list[int], condition: sa.ColumnElement[bool], values: dict[str, Any]
) -> int:
    """Set `values` where `condition` holds; returns how many rows. They are locked in their order, as reports do."""
    matching = sa.select(BroadcastRecipient.seq).where(_those(lease, seqs), condition).order_by(BroadcastRecipient.seq)
    locked = list(await session.scalars(matching.with_for_update(key_share=True)))
    if locked:
        update = sa.update(BroadcastRecipient).where(_those(lease, locked)).values(values)
        await session.execute(update.execution_options(synchronize_session=False))
    return len(locked)


def _those(lease: Lease, seqs: list[int]) -> sa.ColumnElement[bool]:
    """These recipients, by the primary key."""
    any_of = BroadcastRecipient.seq == sa.any_(sa.cast(seqs, sa.ARRAY(sa.Integer)))
    return sa.and_(BroadcastRecipient.broadcast_id == lease.broadcast.id, any_of)


async def _finish(session: AsyncSession, chunk: BroadcastChunk) -> None:
    """The chunk is through: the next one gets its turn, or the broadcast ends when this was the last."""
    chunk.status, chunk.due_at = ChunkStatus.DONE, None
    chunk.inflight_lo = chunk.inflight_hi = None
    await session.flush()
    await turns.advance(session, chunk.broadcast_id)
