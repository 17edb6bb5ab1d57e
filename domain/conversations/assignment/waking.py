"""Telling a worker that somebody of a team has become free, or that something waits which somebody may take."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.broker import wake
from core.database import on_commit, transaction
from models.apps import App
from models.assignment import AssignmentMode
from models.conversations import Conversation

DRAINER = "drain_queue"


async def somebody_is_free(session: AsyncSession, app_id: UUID) -> None:
    """Have the app's queue drained after the commit, if anything waits in it and the app gives by itself.

    What is queued at this very moment is not seen, and left to the clock.
    """
    key = f"{DRAINER}:{app_id}"
    if session.info.get(key) is None and await _waits(session, app_id):
        session.info[key] = True
        on_commit(session, lambda: wake(DRAINER, str(app_id)))


async def somebody_arrived(app_id: UUID) -> None:
    """The same for who has come online. It has its own transaction."""
    async with transaction() as session:
        await somebody_is_free(session, app_id)


async def _waits(session: AsyncSession, app_id: UUID) -> bool:
    queued = sa.exists().where(Conversation.app_id == app_id, Conversation.queued_at.is_not(None))
    gives = sa.exists().where(App.id == app_id, App.assignment_mode != AssignmentMode.MANUAL)
    return bool(await session.scalar(sa.select(gives & queued)))
