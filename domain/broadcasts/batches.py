"""Micro-batches of a chunk: who is next, what becomes of each, and the intent to send before anything is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain.broadcasts import chunks, deciding, results
from domain.broadcasts.chunks import Lease, Owned
from domain.broadcasts.deciding import Plan, Send
from models.broadcasts import BroadcastChunk, BroadcastRecipient, RecipientStatus
from models.channels import ChannelKind

MICRO_BATCH = 1_000
BLIND_BATCH = 100
"""Where a provider cannot be asked again: with so many recipients a chunk begins."""
BLIND_SECONDS = 0.05
"""So long such a micro-batch should take: what is on its way is uncertain when its worker is killed."""
REPEATABLE = frozenset({ChannelKind.IN_APP})
"""Ways by which a send with a key that was sent before has no second effect."""


@dataclass(frozen=True)
class Batch:
    """A micro-batch whose intent is committed. It may be empty when all of it was skipped or deferred."""

    sends: Sequence[Send]


@dataclass
class Pace:
    """How many recipients the next micro-batch of a chunk has at most.

    Attributes:
        is_blind: what is on its way cannot be asked for, or sent again, after a crash.
    """

    is_blind: bool
    size: int

    def went(self, count: int, seconds: float) -> None:
        """Follow how fast `count` messages were taken, where no more should be on their way than need be."""
        if self.is_blind and count:
            fitting = int(count * BLIND_SECONDS / max(seconds, 0.001))
            self.size = min(MICRO_BATCH, max(BLIND_BATCH, fitting))


def pace(plan: Plan) -> Pace:
    """That of a broadcast: its next chunk goes on as fast as the last one that this process had."""
    return _pace(plan.broadcast.id, is_blind=not plan.channels <= REPEATABLE)


@lru_cache(64)
def _pace(_broadcast_id: UUID, *, is_blind: bool) -> Pace:
    return Pace(is_blind, BLIND_BATCH if is_blind else MICRO_BATCH)


async def begin(session: AsyncSession, lease: Lease, plan: Plan, most: int, held: Owned | None = None) -> Batch | None:
    """The next recipients to send to; None when the chunk is through, waits, or its broadcast is held.

    Opt-outs, suppressions, quiet hours and caps are looked at here, at the last moment. Those who are not sent to now
    have their result written; those who are, are committed as intent before any channel is called.

    Args:
        session: the transaction.
        lease: of the chunk.
        plan: of the broadcast.
        most: how many it may have.
        held: the chunk, where this transaction has locked it already.

    Raises:
        LeaseLostError: another worker has the chunk.
    """
    held = held or await chunks.owned(session, lease)
    chunk = held.chunk
    if chunks.let_go(held):
        return None
    rows = await _next(session, chunk, plan, most)
    if not rows:
        await chunks.rest(session, chunk)
        return None
    sends, others = await deciding.decide(session, plan, rows)
    await results.write(session, chunk, others)
    blind = [send.seq for send in sends if send.channel not in REPEATABLE]
    chunks.intend(chunk, [send.seq for send in sends], blind)
    return Batch(sends)


async def _next(session: AsyncSession, chunk: BroadcastChunk, plan: Plan, most: int) -> Sequence[Any]:
    """Those of the chunk that have no result yet. A report may have come before the result: then sent_at is empty."""
    due = sa.or_(
        sa.and_(BroadcastRecipient.sent_at.is_(None), BroadcastRecipient.status.in_(_WITHOUT_RESULT)),
        sa.and_(BroadcastRecipient.status == RecipientStatus.DEFERRED, BroadcastRecipient.deferred_until <= now()),
    )
    rows = deciding.seen(with_contact=plan.reads_contact).where(
        BroadcastRecipient.broadcast_id == chunk.broadcast_id,
        BroadcastRecipient.seq.between(chunk.lo_seq, chunk.hi_seq),
        due,
    )
    found: Sequence[Any] = (await session.execute(rows.order_by(BroadcastRecipient.seq).limit(most))).all()
    return found


_WITHOUT_RESULT = (
    RecipientStatus.PENDING,
    RecipientStatus.DELIVERED,
    RecipientStatus.OPENED,
    RecipientStatus.CLICKED,
)
