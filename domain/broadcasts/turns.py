"""Whose turn it is: of each broadcast a few chunks are queued or being sent, and the last one ends it.

A chunk with `due_at` has its turn: it is queued for a worker, or owned by one. As one is through, the next gets its
turn at the end of the queue. So a small broadcast waits for a few chunks of a large one, never for all of them.
"""

from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.config import config
from domain import facts
from domain.broadcasts.due import WAKE_AGAIN, give_out
from domain.broadcasts.queries import topic
from models.broadcasts import Broadcast, BroadcastChunk, BroadcastStatus, ChunkStatus
from models.facts import FactKind

# How long a queued chunk waits for each one in the queue, reckoned high: workers send several chunks a second.
WAIT_PER_CHUNK = timedelta(seconds=0.5)
_HAS_TURN = BroadcastChunk.due_at.is_not(None)
_OPEN = BroadcastChunk.status != ChunkStatus.DONE


async def advance(session: AsyncSession, broadcast_id: UUID) -> None:
    """Give the next chunks their turn; end the broadcast when no chunk is open. For one that is sending.

    The row is locked before the chunks are counted, so of two last chunks the later one sees the other.
    """
    this = sa.select(Broadcast).where(Broadcast.id == broadcast_id)
    broadcast = await session.scalar(this.with_for_update(key_share=True).execution_options(populate_existing=True))
    if broadcast is None or broadcast.status is not BroadcastStatus.SENDING or broadcast.expanded_at is None:
        return
    counts = sa.select(
        sa.func.count().filter(_OPEN), sa.func.count().filter(_HAS_TURN), sa.func.sum(BroadcastChunk.sent)
    )
    found = await session.execute(counts.where(BroadcastChunk.broadcast_id == broadcast_id))
    open_, with_turn, sent = found.one()
    if open_:
        await _give_turns(session, broadcast_id, config().chunks_at_once - with_turn)
    else:
        _end(session, broadcast, sent or 0)


async def _give_turns(session: AsyncSession, broadcast_id: UUID, count: int) -> None:
    """Make the next `count` chunks due."""
    if count <= 0:
        return
    without = sa.and_(
        BroadcastChunk.broadcast_id == broadcast_id, BroadcastChunk.status == ChunkStatus.READY, ~_HAS_TURN
    )
    following = sa.select(BroadcastChunk.no).where(without).order_by(BroadcastChunk.no).limit(count)
    turn = sa.update(BroadcastChunk).where(without, BroadcastChunk.no.in_(following.scalar_subquery()))
    await session.execute(turn.values(due_at=now()).execution_options(synchronize_session=False))


def _end(session: AsyncSession, broadcast: Broadcast, sent: int) -> None:
    """The last status: SENT, or FAILED when not one recipient was reached."""
    broadcast.status = BroadcastStatus.SENT if sent else BroadcastStatus.FAILED
    broadcast.error_message = None if sent else "Every recipient failed; see the error code of each."
    broadcast.completed_at = now()
    kind = FactKind.BROADCAST_SENT if sent else FactKind.BROADCAST_FAILED
    facts.record(session, broadcast.app_id, kind, broadcast.id)
    facts.tick(session, topic(broadcast.id))


async def stalled(session: AsyncSession) -> list[UUID]:
    """Broadcasts that are sending though no chunk has its turn: nothing but a bug makes one, and `advance` mends it."""
    busy = sa.exists().where(BroadcastChunk.broadcast_id == Broadcast.id, _HAS_TURN)
    sending = sa.and_(Broadcast.status == BroadcastStatus.SENDING, Broadcast.expanded_at.is_not(None))
    return list(await session.scalars(sa.select(Broadcast.id).where(sending, ~busy)))


async def due(session: AsyncSession, broadcast_id: UUID | None = None, limit: int = 500) -> list[tuple[UUID, int]]:
    """Chunks to be woken, of one broadcast or of all, the longest waiting first.

    Each is given out again after five seconds, in case the wake got lost; when the queue is long, only after the time
    that the queue takes, as those that merely wait in it must not make it longer.
    """
    queued = await session.scalar(sa.select(sa.func.count()).where(_HAS_TURN)) or 0
    of_it = [BroadcastChunk.broadcast_id == broadcast_id] if broadcast_id else []
    again = max(WAKE_AGAIN, queued * WAIT_PER_CHUNK)
    taken = give_out(BroadcastChunk, *of_it, limit=limit, again=again)
    found = await session.execute(taken.returning(BroadcastChunk.broadcast_id, BroadcastChunk.no))
    return sorted((id_, no) for id_, no in found)
