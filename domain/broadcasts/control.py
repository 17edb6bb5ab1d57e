"""The lever of a broadcast: send, schedule, pause, resume, cancel; each a guarded step from one status to another."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.errors import EmptyAudience, Invalid
from domain import facts, idempotency
from domain.broadcasts import audience, turns
from domain.broadcasts.queries import get, get_in, topic
from domain.principals import Principal
from models.broadcasts import Broadcast, BroadcastChunk, BroadcastStatus, ChunkStatus
from models.facts import FactKind

NOTHING_TO_SEND = "Nobody in the audience has a device; there is nothing to send."


async def send(session: AsyncSession, principal: Principal, broadcast_id: UUID, key: str | None = None) -> Broadcast:
    """Start sending now.

    Raises:
        NotFound, Conflict: no such broadcast, or it is neither DRAFT nor SCHEDULED.
        EmptyAudience: it would reach nobody.
        IdempotencyKeyReused: `key` came before for something else.
    """
    request = {"send": broadcast_id}
    if await idempotency.claim(session, principal.app_id, key, request, broadcast_id):
        return await get(session, principal.app_id, broadcast_id)
    startable = (BroadcastStatus.DRAFT, BroadcastStatus.SCHEDULED)
    broadcast = await get_in(session, principal.app_id, broadcast_id, *startable, verb="sent")
    if await audience.is_empty(session, broadcast):
        raise EmptyAudience(NOTHING_TO_SEND, field="id")
    return _start(session, broadcast, principal.actor)


def _start(session: AsyncSession, broadcast: Broadcast, actor: str) -> Broadcast:
    """The step to SENDING. From here the expansion is due until it has finished."""
    broadcast.status = BroadcastStatus.SENDING
    broadcast.sent_at = broadcast.due_at = now()
    return _told(session, broadcast, FactKind.BROADCAST_STARTED, actor)


def _told(session: AsyncSession, broadcast: Broadcast, kind: FactKind, actor: str) -> Broadcast:
    facts.record(session, broadcast.app_id, kind, broadcast.id, actor=actor)
    facts.tick(session, topic(broadcast.id))
    return broadcast


async def start_due(session: AsyncSession, limit: int = 100) -> int:
    """Start the scheduled broadcasts whose time has come; returns how many. Safe in any number of clocks at once."""
    due = (
        sa.select(Broadcast)
        .where(Broadcast.status == BroadcastStatus.SCHEDULED, Broadcast.scheduled_at <= now())
        .order_by(Broadcast.scheduled_at)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    started = [_start(session, broadcast, facts.SYSTEM) for broadcast in await session.scalars(due)]
    return len(started)


async def schedule(session: AsyncSession, principal: Principal, broadcast_id: UUID, at: datetime) -> Broadcast:
    """Send by itself at the instant `at`; scheduling again moves it.

    Raises:
        Invalid: `at` has passed.
        NotFound, Conflict: no such broadcast, or it is neither DRAFT nor SCHEDULED.
    """
    if at <= now():
        raise Invalid("scheduledAt has passed; give an instant in the future, or send now.", field="scheduledAt")
    schedulable = (BroadcastStatus.DRAFT, BroadcastStatus.SCHEDULED)
    broadcast = await get_in(session, principal.app_id, broadcast_id, *schedulable, verb="scheduled")
    broadcast.status, broadcast.scheduled_at = BroadcastStatus.SCHEDULED, at
    return _told(session, broadcast, FactKind.BROADCAST_SCHEDULED, principal.actor)


async def cancel(session: AsyncSession, principal: Principal, broadcast_id: UUID) -> Broadcast:
    """Stop for good. What is with a channel at this moment, at most one micro-batch a worker, still goes out.

    Raises:
        NotFound, Conflict: no such broadcast, or it is a draft or has ended.
    """
    stoppable = (BroadcastStatus.SCHEDULED, BroadcastStatus.SENDING, BroadcastStatus.PAUSED)
    broadcast = await get_in(session, principal.app_id, broadcast_id, *stoppable, verb="cancelled")
    broadcast.status, broadcast.completed_at, broadcast.due_at = BroadcastStatus.CANCELLED, now(), None
    await _wake_chunks(session, broadcast, at=None)
    return _told(session, broadcast, FactKind.BROADCAST_CANCELLED, principal.actor)


async def pause(session: AsyncSession, principal: Principal, broadcast_id: UUID) -> Broadcast:
    """Hold the sending where it is.

    Raises:
        NotFound, Conflict: no such broadcast, or it is not SENDING.
    """
    broadcast = await get_in(session, principal.app_id, broadcast_id, BroadcastStatus.SENDING, verb="paused")
    broadcast.status, broadcast.due_at = BroadcastStatus.PAUSED, None
    return _told(session, broadcast, FactKind.BROADCAST_PAUSED, principal.actor)


async def resume(session: AsyncSession, principal: Principal, broadcast_id: UUID) -> Broadcast:
    """Go on with a paused sending: those who have not got it.

    Raises:
        NotFound, Conflict: no such broadcast, or it is not PAUSED.
    """
    broadcast = await get_in(session, principal.app_id, broadcast_id, BroadcastStatus.PAUSED, verb="resumed")
    broadcast.status = BroadcastStatus.SENDING
    broadcast.due_at = None if broadcast.expanded_at else now()
    await _wake_chunks(session, broadcast, at=now())
    await session.flush()
    await turns.advance(session, broadcast.id)
    return _told(session, broadcast, FactKind.BROADCAST_RESUMED, principal.actor)


async def _wake_chunks(session: AsyncSession, broadcast: Broadcast, at: datetime | None) -> None:
    """Let the queued chunks be woken at `at`, or not at all. Those under way see the status by themselves."""
    queued = sa.and_(
        BroadcastChunk.broadcast_id == broadcast.id,
        BroadcastChunk.status == ChunkStatus.READY,
        BroadcastChunk.due_at.is_not(None),
    )
    await session.execute(sa.update(BroadcastChunk).where(queued).values(due_at=at))
