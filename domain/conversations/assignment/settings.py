"""How an app assigns conversations."""

from typing import TypedDict
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Invalid
from domain.conversations.assignment import waking
from domain.principals import Principal
from domain.settings import standing
from models.apps import App
from models.assignment import AssignmentMode

CAPACITY_MOST = 1_000
MINUTES_MOST = 24 * 60


class AssignmentSettings(TypedDict, total=False):
    """What changes; a key that is absent is left as it is."""

    assignment_mode: AssignmentMode
    agent_capacity: int
    requeue_after_minutes: int | None


async def get(session: AsyncSession, app_id: UUID) -> App:
    """The app, which has its settings.

    Raises:
        NotFound: it is gone.
    """
    return await standing.get(session, app_id)


async def update(session: AsyncSession, principal: Principal, settings: AssignmentSettings) -> App:
    """Change the given settings. Conversations keep who has them; those that wait are looked at anew.

    Raises:
        Invalid: a number is out of its range.
    """
    check_capacity(settings.get("agent_capacity"), "agentCapacity")
    minutes = settings.get("requeue_after_minutes")
    if minutes is not None and not 1 <= minutes <= MINUTES_MOST:
        raise Invalid(f"requeueAfterMinutes must be from 1 to {MINUTES_MOST}, or null.", field="requeueAfterMinutes")
    app = await standing.get(session, principal.app_id, lock=True)
    for name, value in settings.items():
        setattr(app, name, value)
    standing.tell(session, principal.author, app)
    await session.flush()
    await waking.somebody_is_free(session, app.id)
    return app


def check_capacity(capacity: int | None, field: str) -> None:
    """Refuse a number of conversations that nobody means.

    Raises:
        Invalid: it is below 0, or above 1,000.
    """
    if capacity is not None and not 0 <= capacity <= CAPACITY_MOST:
        raise Invalid(f"{field} must be from 0 to {CAPACITY_MOST}.", field=field)
