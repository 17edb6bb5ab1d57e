"""How a broadcast begins: now, at an instant, at a local time of each recipient, or again and again."""

from datetime import datetime, timedelta
from typing import TypedDict
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.errors import EmptyAudience, Invalid, NotFound
from core.ids import new_id
from domain import idempotency, rate_limits, timing
from domain.broadcasts import audience, drafts, ways
from domain.broadcasts.queries import get, get_in, record, told
from domain.links import stored
from domain.principals import SYSTEM, Author, Principal
from domain.segments import saved
from models.broadcasts import Broadcast, BroadcastStatus
from models.facts import FactKind

NOTHING_TO_SEND = "Nobody in the audience can be reached by the channels of this broadcast; there is nothing to send."
STARTABLE = (BroadcastStatus.DRAFT, BroadcastStatus.SCHEDULED)
EARLIEST_ZONE = timedelta(hours=14)
"""How far the first time zone of the world is ahead of UTC."""


class Schedule(TypedDict):
    """When a broadcast starts: just one of an instant, a wall-clock time, and a cron expression.

    `time_zone` is that of recipients who have none, and that of the cron expression.
    """

    scheduled_at: datetime | None
    local_at: datetime | None
    cron: str | None
    time_zone: str


async def send(session: AsyncSession, principal: Principal, broadcast_id: UUID, key: str | None = None) -> Broadcast:
    """Start sending now. It counts as sent once: now, or since it was scheduled.

    Raises:
        NotFound, Conflict: no such broadcast, or it is neither DRAFT nor SCHEDULED.
        EmptyAudience: it would reach nobody.
        Invalid: a channel of it is not set up.
        RateLimited: the asker has sent as many as they may for now.
        IdempotencyKeyReused: `key` came before for something else.
    """
    request = {"send": broadcast_id}
    if await idempotency.claim(session, principal.app_id, key, request, broadcast_id):
        return await get(session, principal.app_id, broadcast_id)
    broadcast = await get_in(session, principal.app_id, broadcast_id, *STARTABLE, verb="sent")
    await ways.require_set_up(session, broadcast)
    await _freeze(session, broadcast)
    if await audience.is_empty(session, broadcast):
        raise EmptyAudience(NOTHING_TO_SEND, field="id")
    await _count(session, broadcast, principal)
    broadcast.local_at = broadcast.cron = None
    return await start(session, broadcast, principal.author)


async def _count(session: AsyncSession, broadcast: Broadcast, principal: Principal) -> None:
    """Spend a sending as it leaves DRAFT, once all else has been checked, so that what is refused counts nothing."""
    if broadcast.status == BroadcastStatus.DRAFT:
        await rate_limits.spend_broadcast(session, principal)


async def _freeze(session: AsyncSession, broadcast: Broadcast) -> None:
    """Take over what its saved segments say now. One that was deleted says what it said when it was chosen."""
    for id_name, query_name in (("segment_id", "segment_query"), ("exclude_segment_id", "exclude_query")):
        if segment_id := getattr(broadcast, id_name):
            try:
                segment = await saved.get(session, broadcast.app_id, segment_id)
            except NotFound:
                continue
            setattr(broadcast, query_name, segment.conditions)


async def start(session: AsyncSession, broadcast: Broadcast, author: Author) -> Broadcast:
    """The step to SENDING. From here the expansion is due until it has finished."""
    await stored.prepare(session, broadcast)
    broadcast.status = BroadcastStatus.SENDING
    broadcast.sent_at = broadcast.due_at = now()
    return told(session, broadcast, FactKind.BROADCAST_STARTED, author)


async def schedule(session: AsyncSession, principal: Principal, broadcast_id: UUID, when: Schedule) -> Broadcast:
    """Send by itself; scheduling again moves it. It counts as sent when it is first scheduled.

    Raises:
        Invalid: the time has passed, the zone or the cron expression is none, or not just one of them is given; or a
            channel of it is not set up.
        NotFound, Conflict: no such broadcast, or it is neither DRAFT nor SCHEDULED.
        RateLimited: the asker has sent as many as they may for now.
    """
    broadcast = await get_in(session, principal.app_id, broadcast_id, *STARTABLE, verb="scheduled")
    begins = _begins(when)
    await ways.require_set_up(session, broadcast)
    await _count(session, broadcast, principal)
    broadcast.status, broadcast.scheduled_at = BroadcastStatus.SCHEDULED, begins
    broadcast.local_at, broadcast.cron, broadcast.time_zone = when["local_at"], when["cron"], when["time_zone"]
    return told(session, broadcast, FactKind.BROADCAST_SCHEDULED, principal.author)


def _begins(when: Schedule) -> datetime:
    """When the sending begins: with a local time, when the first zone of the world has it."""
    if sum(when[name] is not None for name in ("scheduled_at", "local_at", "cron")) != 1:
        raise Invalid("Give just one of scheduledAt, localAt and cron.", field="scheduledAt")
    zone = timing.zone(when["time_zone"], "timeZone")
    if when["cron"] is not None:
        return timing.next_cron(when["cron"], zone, now())
    if when["local_at"] is not None:
        return _local(when["local_at"], zone)
    at = when["scheduled_at"]
    if at is None or at <= now():
        raise Invalid("scheduledAt has passed; give an instant in the future, or send now.", field="scheduledAt")
    return at


def _local(wall: datetime, zone: str) -> datetime:
    if wall.tzinfo is not None:
        raise Invalid("localAt is a time on the wall, without a zone, like 2030-01-24T10:00:00.", field="localAt")
    if timing.local_instant(wall, zone, zone) <= now():
        raise Invalid(f"localAt has passed in {zone}; give a time in the future, or send now.", field="localAt")
    return max(wall.replace(tzinfo=now().tzinfo) - EARLIEST_ZONE, now())


async def start_due(session: AsyncSession, limit: int = 100) -> int:
    """Start the scheduled broadcasts whose time has come; returns how many. Safe in any number of clocks at once."""
    due = (
        sa.select(Broadcast)
        .where(Broadcast.status == BroadcastStatus.SCHEDULED, Broadcast.scheduled_at <= now())
        .order_by(Broadcast.scheduled_at)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    found = (await session.scalars(due)).all()
    for broadcast in found:
        one = _repeat(session, broadcast) if broadcast.cron else broadcast
        await _freeze(session, one)
        await start(session, one, SYSTEM)
    return len(found)


def _repeat(session: AsyncSession, broadcast: Broadcast) -> Broadcast:
    """A copy to be sent now; the broadcast itself waits for its next time. Times that were missed are not made up."""
    copied = {name: getattr(broadcast, name) for name in drafts.COPIED}
    copy = Broadcast(id=new_id(), app_id=broadcast.app_id, repeats_id=broadcast.id, **copied)
    session.add(copy)
    record(session, SYSTEM, FactKind.BROADCAST_CREATED, copy)
    broadcast.scheduled_at = timing.next_cron(broadcast.cron or "", broadcast.time_zone, now())
    return copy


async def extend(session: AsyncSession, principal: Principal, broadcast_id: UUID) -> Broadcast:
    """Send a broadcast that has been sent to those who are in its audience by now and were not then.

    Raises:
        NotFound, Conflict: no such broadcast, or it is not SENT.
    """
    broadcast = await get_in(session, principal.app_id, broadcast_id, BroadcastStatus.SENT, verb="extended")
    broadcast.status, broadcast.completed_at, broadcast.expanded_at = BroadcastStatus.SENDING, None, None
    broadcast.after_contact_id, broadcast.due_at = None, now()
    return told(session, broadcast, FactKind.BROADCAST_EXTENDED, principal.author)
