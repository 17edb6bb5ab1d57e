"""Reading broadcasts."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict
from domain import facts
from domain.lookups import own
from domain.pages import Page, PageRequest, page
from domain.principals import Author
from models.broadcasts import Broadcast, BroadcastStatus
from models.facts import FactKind


def topic(broadcast_id: UUID) -> str:
    """Where progress subscriptions of a broadcast listen."""
    return f"broadcast:{broadcast_id}"


def stream(app_id: UUID) -> str:
    """The event stream of an app's broadcasts."""
    return f"broadcasts:{app_id}"


def record(session: AsyncSession, author: Author, kind: FactKind, broadcast: Broadcast) -> None:
    """Record that `kind` happened to the broadcast, also for those who follow the app's broadcasts."""
    facts.record(session, author, kind, broadcast, streams=() if broadcast.is_test else [stream(broadcast.app_id)])


def told(session: AsyncSession, broadcast: Broadcast, kind: FactKind, author: Author) -> Broadcast:
    """Record that `kind` happened to the broadcast, and let those who watch it look again; returns it."""
    record(session, author, kind, broadcast)
    facts.tick(session, topic(broadcast.id))
    return broadcast


async def get(
    session: AsyncSession, app_id: UUID, broadcast_id: UUID, *, lock: bool = False, field: str = "id"
) -> Broadcast:
    """One broadcast of the app; `field` is where its id came from.

    Raises:
        NotFound: it has no such broadcast.
    """
    return await own(session, Broadcast, app_id, broadcast_id, "broadcast", lock=lock, field=field)


async def get_in(
    session: AsyncSession, app_id: UUID, broadcast_id: UUID, *allowed: BroadcastStatus, verb: str
) -> Broadcast:
    """The broadcast, locked, in one of the statuses in which it can be `verb`.

    Raises:
        NotFound: the app has no such broadcast.
        Conflict: it is in another status; the message names it.
    """
    broadcast = await get(session, app_id, broadcast_id, lock=True)
    if broadcast.status not in allowed:
        wanted = " or ".join(status.value for status in allowed)
        raise Conflict(
            f"A broadcast can be {verb} when it is {wanted}; this one is {broadcast.status.value}.", field="id"
        )
    return broadcast


async def listed(
    session: AsyncSession, app_id: UUID, request: PageRequest, status: BroadcastStatus | None = None
) -> Page[Broadcast]:
    """The broadcasts of an app, newest first, of one status or of all."""
    rows = sa.select(Broadcast).where(Broadcast.app_id == app_id, ~Broadcast.is_test)
    if status is not None:
        rows = rows.where(Broadcast.status == status)
    return await page(session, rows, Broadcast.id, request, newest_first=True)
