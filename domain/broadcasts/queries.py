"""Reading broadcasts and their recipients."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict, NotFound
from domain.pages import Page, PageRequest, page
from models.broadcasts import Broadcast, BroadcastRecipient, BroadcastStatus, RecipientStatus


def topic(broadcast_id: UUID) -> str:
    """Where progress subscriptions of a broadcast listen."""
    return f"broadcast:{broadcast_id}"


async def get(
    session: AsyncSession, app_id: UUID, broadcast_id: UUID, *, lock: bool = False, field: str = "id"
) -> Broadcast:
    """One broadcast of the app; `field` is where its id came from.

    Raises:
        NotFound: it has no such broadcast.
    """
    statement = sa.select(Broadcast).where(Broadcast.app_id == app_id, Broadcast.id == broadcast_id)
    broadcast = await session.scalar(statement.with_for_update(key_share=True) if lock else statement)
    if broadcast is None:
        raise NotFound("There is no such broadcast.", field=field)
    return broadcast


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
    rows = sa.select(Broadcast).where(Broadcast.app_id == app_id)
    if status is not None:
        rows = rows.where(Broadcast.status == status)
    return await page(session, rows, Broadcast.id, request, newest_first=True)


async def recipients(
    session: AsyncSession, broadcast: Broadcast, request: PageRequest, status: RecipientStatus | None = None
) -> Page[BroadcastRecipient]:
    """The recipients of a broadcast in their order, of one status or of all."""
    rows = sa.select(BroadcastRecipient).where(BroadcastRecipient.broadcast_id == broadcast.id)
    if status is not None:
        rows = rows.where(BroadcastRecipient.status == status)
    return await page(session, rows, BroadcastRecipient.seq, request)
