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
from domain.broadcasts.due import WAKE_AGAIN, give_out
from domain.broadcasts.queries import told
from domain.principals import SYSTEM
from models.broadcasts import Broadcast, BroadcastChunk, BroadcastStatus, ChunkStatus
from models.facts import FactKind

# How long a queued chunk waits for each one in the queue, reckoned high: workers send several chunks a second.
WAIT_PER_CHUNK = timedelta(seconds=0.5)
ONE_CHUNK_SENDS = 500
"""Recipients a second that one chunk gets through, reckoned low."""
_HAS_TURN = sa.and_(BroadcastChunk.due_at.is_not(None), BroadcastChunk.status != ChunkStatus.WAITING)
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
        sa.func.count().filter(_OPEN),
        sa.func.count().filter(_HAS_TURN),
        sa.func.sum(BroadcastChunk.sent + BroadcastChunk.uncertain),
    )
    found = await session.execute(counts.where(BroadcastChunk.broadcast_id == broadcast_id))
    open_, with_turn, reached = found.one()
    if open_:
        await _give_turns(session, broadcast_id, await _share(session, broadcast) - with_turn)
    else:
        _end(session, broadcast, reached or 0)


async def _share(session: AsyncSession, broadcast: Broadcast) -> int:
    """How many chunks it may have queued or in work: the broadcasts of an app share what one alone would have.

    One with a speed limit needs no more than the limit lets through.
    """
    others = sa.select(sa.func.count()).where(
        Broadcast.app_id == broadcast.app_id, Broadcast.status == BroadcastStatus.SENDING
    )
    most = config().chunks_at_once
    fair = max(1, most // (await session.scalar(others) or 1))
    return fair if broadcast.speed is None else min(fair, broadcast.speed // ONE_CHUNK_SENDS + 1)


async def _give_turns(session: AsyncSession, broadcast_id: UUID, count: int) -> None:
    """Make the next `count` chunks due. One that somebody else has locked gets its turn from them."""
    if count <= 0:
        return
    without = sa.and_(
        BroadcastChunk.broadcast_id == broadcast_id, BroadcastChunk.status == ChunkStatus.READY, ~_HAS_TURN
    )
    following = sa.select(BroadcastChunk.no).where(without).order_by(BroadcastChunk.no).limit(count)
    # by itself: as a part of the update PostgreSQL may run it again for each row, and so passes over what it has locked
    numbers = (await session.scalars(following.with_for_update(skip_locked=True, key_share=True))).all()
    turn = sa.update(BroadcastChunk).where(without, BroadcastChunk.no.in_(numbers))
    await session.execute(turn.values(due_at=now()).execution_options(synchronize_session=False))


def _end(session: AsyncSession, broadcast: Broadcast, reached: int) -> None:
    """The last status: SENT, or FAILED when not one recipient was reached."""
    broadcast.status = BroadcastStatus.SENT if reached else BroadcastStatus.FAILED
    broadcast.error_message = None if reached else "Every recipient failed or was skipped; see the code of each."
    broadcast.completed_at = now()
    kind = FactKind.BROADCAST_SENT if reached else FactKind.BROADCAST_FAILED
    told(session, broadcast, kind, SYSTEM)


async def stalled(session: AsyncSession) -> list[UUID]:
    """Broadcasts that are sending though no chunk has its turn: nothing but a bug makes one, and `advance` mends it."""
    busy = sa.exists().where(BroadcastChunk.broadcast_id == Broadcast.id, BroadcastChunk.due_at.is_not(None))
    sending = sa.and_(Broadcast.status == BroadcastStatus.SENDING, Broadcast.expanded_at.is_not(None))
    return list(await session.scalars(sa.select(Broadcast.id).where(sending, ~busy)))


async def due(session: AsyncSession, broadcast_id: UUID | None = None, limit: int = 500) -> list[tuple[UUID, int]]:
    """Chunks to be woken, of one broadcast or of all, the longest waiting first.

    Each is given out again after five seconds, in case the wake got lost; when the queue is long, only after the time
    that the queue takes, as those that merely wait in it must not make it longer.
    """
    queued = await session.scalar(sa.select(sa.func.count()).where(_HAS_TURN)) or 0
    of_it = [_HAS_TURN, *([BroadcastChunk.broadcast_id == broadcast_id] if broadcast_id else [])]
    again = max(WAKE_AGAIN, queued * WAIT_PER_CHUNK)
    taken = give_out(BroadcastChunk, *of_it, limit=limit, again=again)
    found = await session.execute(taken.returning(BroadcastChunk.broadcast_id, BroadcastChunk.no))
    return sorted((id_, no) for id_, no in found)


async def ripen(session: AsyncSession, limit: int = 1_000) -> None:
    """Chunks whose deferred recipients have come due are ready again, and get their turn in their broadcast's order."""
    sending = sa.exists().where(
        Broadcast.id == BroadcastChunk.broadcast_id, Broadcast.status == BroadcastStatus.SENDING
    )
    key = sa.tuple_(BroadcastChunk.broadcast_id, BroadcastChunk.no)
    ripe = (
        sa.select(BroadcastChunk.broadcast_id, BroadcastChunk.no)
        .where(BroadcastChunk.status == ChunkStatus.WAITING, BroadcastChunk.due_at <= now(), sending)
        .order_by(BroadcastChunk.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True, of=BroadcastChunk)
    )
    ready = sa.update(BroadcastChunk).where(key.in_(ripe)).values(status=ChunkStatus.READY, due_at=None)
    found = await session.scalars(
        ready.returning(BroadcastChunk.broadcast_id).execution_options(synchronize_session=False)
    )
    for broadcast_id in sorted(set(found)):
        await advance(session, broadcast_id)
