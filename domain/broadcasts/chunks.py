"""Batches of a broadcast, each owned by one worker at a time under a lease.

Every write carries the fence of the claim, so a worker that lost its lease changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.config import config
from domain import facts, frequency
from domain.broadcasts import redoing, results, turns
from domain.broadcasts.queries import topic
from domain.broadcasts.results import Result
from models.broadcasts import (
    Broadcast,
    BroadcastChunk,
    BroadcastRecipient,
    BroadcastStatus,
    ChunkStatus,
    RecipientStatus,
)
from models.channels import ChannelKind

GRACE = timedelta(seconds=2)
LOOK_BY = timedelta(seconds=30)
INTERRUPTED = "INTERRUPTED"
_NOT_SENT = frozenset({RecipientStatus.FAILED, RecipientStatus.DEFERRED})


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


class Owned(NamedTuple):
    """A chunk that this transaction has locked under its lease, and how its broadcast stands."""

    chunk: BroadcastChunk
    status: BroadcastStatus


def send_key(broadcast_id: UUID, seq: int) -> str:
    """The identity of the send to one recipient: the same however often it is tried."""
    return f"b{broadcast_id}:{seq}"


async def claim(session: AsyncSession, broadcast_id: UUID, no: int) -> Lease | None:
    """The chunk under a new lease; None when there is nothing to do or another worker has it.

    Of what an earlier owner was about to send when it died, nobody knows what has gone out by a provider that cannot be
    asked: those recipients become UNCERTAIN. The others come again with the same key, which their channel knows.
    """
    chunk = await session.scalar(_this(broadcast_id, no).with_for_update(skip_locked=True, key_share=True))
    if chunk is None or chunk.status in {ChunkStatus.DONE, ChunkStatus.WAITING} or _is_leased(chunk):
        return None
    broadcast = await session.get(Broadcast, broadcast_id)
    if broadcast is None or broadcast.status is not BroadcastStatus.SENDING:
        _park(chunk, broadcast.status if broadcast else None)
        return None
    await _settle_blind(session, chunk, broadcast)
    await redoing.redo(session, chunk)
    chunk.fence += 1
    _extend(chunk)
    await session.flush()
    return Lease(broadcast, no, chunk.lo_seq, chunk.hi_seq, chunk.fence)


def _this(broadcast_id: UUID, no: int) -> sa.Select[BroadcastChunk]:
    return sa.select(BroadcastChunk).where(BroadcastChunk.broadcast_id == broadcast_id, BroadcastChunk.no == no)


async def _settle_blind(session: AsyncSession, chunk: BroadcastChunk, broadcast: Broadcast) -> None:
    """Those that were on their way; a device by push, a mailbox by e-mail, with the variant that had won by then."""
    if chunk.blind:
        mine = sa.and_(BroadcastRecipient.broadcast_id == chunk.broadcast_id, BroadcastRecipient.seq.in_(chunk.blind))
        columns = (BroadcastRecipient.seq, BroadcastRecipient.device_id, BroadcastRecipient.variant)
        rows = await session.execute(sa.select(*columns).where(mine))
        unknown = [
            Result(
                seq,
                RecipientStatus.UNCERTAIN,
                INTERRUPTED,
                channel=ChannelKind.PUSH if device_id else ChannelKind.EMAIL,
                variant=broadcast.winner if variant is None else variant,
            )
            for seq, device_id, variant in rows
        ]
        await results.write(session, chunk, unknown)
        chunk.blind = []


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


async def owned(session: AsyncSession, lease: Lease) -> Owned:
    """The chunk, locked, while the lease is still ours.

    Raises:
        LeaseLostError: it is not.
    """
    status = sa.select(Broadcast.status).where(Broadcast.id == BroadcastChunk.broadcast_id).scalar_subquery()
    mine = _this(lease.broadcast.id, lease.no).where(BroadcastChunk.fence == lease.fence).add_columns(status)
    locked = mine.with_for_update(key_share=True, of=BroadcastChunk).execution_options(populate_existing=True)
    found = (await session.execute(locked)).one_or_none()
    if found is None or found[0].status is not ChunkStatus.LEASED:
        raise LeaseLostError
    return Owned(*found)


def let_go(held: Owned) -> bool:
    """Whether the chunk had to be let go, as its broadcast is not being sent any more."""
    if held.status is BroadcastStatus.SENDING:
        return False
    _park(held.chunk, held.status)
    return True


async def renew(session: AsyncSession, lease: Lease) -> None:
    """Own the chunk for one more lease, while a slow provider holds a micro-batch.

    Raises:
        LeaseLostError: another worker has it.
    """
    _extend((await owned(session, lease)).chunk)


def intend(chunk: BroadcastChunk, seqs: Sequence[int], blind: Sequence[int]) -> None:
    """Note which recipients are about to be sent, and own the chunk for one more lease."""
    chunk.inflight_lo, chunk.inflight_hi = (seqs[0], seqs[-1]) if seqs else (None, None)
    chunk.blind = list(blind)
    _extend(chunk)


async def record(session: AsyncSession, lease: Lease, found: Sequence[Result]) -> Owned:
    """Write what came of a micro-batch: the rows and the counts of the chunk, in one transaction.

    Returns:
        The chunk, for what follows in the same transaction.

    Raises:
        LeaseLostError: the chunk was taken over; nothing is written.
    """
    held = await owned(session, lease)
    chunk = held.chunk
    await results.write(session, chunk, found)
    not_sent = [send_key(lease.broadcast.id, one.seq) for one in found if one.status in _NOT_SENT]
    await frequency.release(session, lease.broadcast.app_id, not_sent)
    chunk.inflight_lo = chunk.inflight_hi = None
    chunk.blind = []
    facts.tick(session, topic(lease.broadcast.id))
    return held


async def rest(session: AsyncSession, chunk: BroadcastChunk) -> None:
    """Nothing of it can be sent now: it waits for the first of its deferred recipients, or it is through.

    If an operator has asked meanwhile for something to be done again, it is ready for its next owner.
    """
    until = await session.scalar(_first_deferred(chunk))
    chunk.inflight_lo = chunk.inflight_hi = None
    if chunk.redo is not None:
        chunk.status, chunk.due_at = ChunkStatus.READY, None
    elif until is not None:
        chunk.status, chunk.due_at = ChunkStatus.WAITING, until
    else:
        chunk.status, chunk.due_at = ChunkStatus.DONE, None
    await session.flush()
    await turns.advance(session, chunk.broadcast_id)


def _first_deferred(chunk: BroadcastChunk) -> sa.Select[datetime | None]:
    return sa.select(sa.func.min(BroadcastRecipient.deferred_until)).where(
        BroadcastRecipient.broadcast_id == chunk.broadcast_id,
        BroadcastRecipient.seq.between(chunk.lo_seq, chunk.hi_seq),
        BroadcastRecipient.status == RecipientStatus.DEFERRED,
    )


async def put_off(session: AsyncSession, lease: Lease, until: datetime) -> None:
    """Let go of the chunk until an instant, such as when the speed limit has room again.

    Raises:
        LeaseLostError: another worker has it.
    """
    chunk = (await owned(session, lease)).chunk
    chunk.status, chunk.due_at = ChunkStatus.WAITING, until
    await session.flush()
    await turns.advance(session, chunk.broadcast_id)
