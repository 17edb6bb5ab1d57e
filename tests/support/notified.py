"""What people were told of, and the dispatcher that tells them, run by the test itself."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from core.database import transaction
from jobs import facts
from models.notifications import Notification
from tests.support.factories import Team

Shown = tuple[str, int, bool]
"""A type, how often, and whether it is unread."""


async def dispatched(who: Team | None = None) -> list[Shown]:
    """What somebody was told of when all facts are dispatched, the oldest first."""
    await facts.dispatch()
    return await told(who) if who else []


async def told(who: Team) -> list[Shown]:
    """What somebody was told of until now, the oldest first."""
    return [(row.type.value, row.count, row.read_at is None) for row in await rows(who.app_id, who.user_id)]


async def rows(app_id: UUID, user_id: UUID) -> list[Notification]:
    """All of somebody, the oldest first."""
    theirs: Any = sa.select(Notification).where(Notification.app_id == app_id, Notification.user_id == user_id)
    async with transaction() as session:
        return list(await session.scalars(theirs.order_by(Notification.created_at, Notification.id)))
