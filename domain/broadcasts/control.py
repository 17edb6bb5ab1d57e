"""The lever of a broadcast: pause, resume, cancel; each a guarded step from one status to another."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain.broadcasts import turns
from domain.broadcasts.queries import get_in, told
from domain.principals import Principal
from models.broadcasts import Broadcast, BroadcastChunk, BroadcastStatus, ChunkStatus
from models.facts import FactKind


async def cancel(session: AsyncSession, principal: Principal, broadcast_id: UUID) -> Broadcast:
    """Stop for good. What is with a channel at this moment, at most one micro-batch a worker, still goes out.

    Raises:
        NotFound, Conflict: no such broadcast, or it is a draft or has ended.
    """
    stoppable = (BroadcastStatus.SCHEDULED, BroadcastStatus.SENDING, BroadcastStatus.PAUSED)
    broadcast = await get_in(session, principal.app_id, broadcast_id, *stoppable, verb="cancelled")
    broadcast.status, broadcast.completed_at, broadcast.due_at = BroadcastStatus.CANCELLED, now(), None
    told(session, broadcast, FactKind.BROADCAST_CANCELLED, principal.author)
    await _wake_chunks(session, broadcast, at=None)
    return broadcast


async def pause(session: AsyncSession, principal: Principal, broadcast_id: UUID) -> Broadcast:
    """Hold the sending where it is.

    Raises:
        NotFound, Conflict: no such broadcast, or it is not SENDING.
    """
    broadcast = await get_in(session, principal.app_id, broadcast_id, BroadcastStatus.SENDING, verb="paused")
    broadcast.status, broadcast.due_at = BroadcastStatus.PAUSED, None
    return told(session, broadcast, FactKind.BROADCAST_PAUSED, principal.author)


async def resume(session: AsyncSession, principal: Principal, broadcast_id: UUID) -> Broadcast:
    """Go on with a paused sending: those who have not got it.

    Raises:
        NotFound, Conflict: no such broadcast, or it is not PAUSED.
    """
    broadcast = await get_in(session, principal.app_id, broadcast_id, BroadcastStatus.PAUSED, verb="resumed")
    broadcast.status = BroadcastStatus.SENDING
    broadcast.due_at = None if broadcast.expanded_at else now()
    told(session, broadcast, FactKind.BROADCAST_RESUMED, principal.author)
    await _wake_chunks(session, broadcast, at=now())
    await session.flush()
    await turns.advance(session, broadcast.id)
    return broadcast


async def _wake_chunks(session: AsyncSession, broadcast: Broadcast, at: datetime | None) -> None:
    """Let the queued chunks be woken at `at`, or not at all. Those under way see the status by themselves."""
    queued = sa.and_(
        BroadcastChunk.broadcast_id == broadcast.id,
        BroadcastChunk.status == ChunkStatus.READY,
        BroadcastChunk.due_at.is_not(None),
    )
    await session.execute(sa.update(BroadcastChunk).where(queued).values(due_at=at))
