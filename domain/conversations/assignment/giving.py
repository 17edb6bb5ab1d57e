"""How a conversation comes to somebody, or to nobody: the only place that writes who answers it."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain.conversations.standing import changed
from domain.principals import Author
from models.assignment import Assignment, AssignmentReason
from models.conversations import Conversation, ConversationStatus
from models.facts import FactKind
from models.team import Membership


async def give(
    session: AsyncSession, author: Author, row: Conversation, user_id: UUID, reason: AssignmentReason
) -> None:
    """Let a member of the team answer a locked conversation."""
    data = _noted(session, author, row, user_id, reason)
    row.assignee_id, row.queued_at = user_id, None
    await changed(session, author, FactKind.CONVERSATION_ASSIGNED, row, **data)
    theirs = (Membership.app_id == row.app_id, Membership.user_id == user_id)
    turn = sa.update(Membership).where(*theirs).values(last_assigned_at=now())
    await session.execute(turn.execution_options(synchronize_session=False))


async def take_away(session: AsyncSession, author: Author, row: Conversation, reason: AssignmentReason) -> None:
    """Let nobody answer a locked conversation. An OPEN one waits in the queue for somebody."""
    data = _noted(session, author, row, None, reason)
    row.assignee_id = None
    row.queued_at = now() if row.status is ConversationStatus.OPEN else None
    await changed(session, author, FactKind.CONVERSATION_UNASSIGNED, row, **data)


def _noted(
    session: AsyncSession, author: Author, row: Conversation, user_id: UUID | None, reason: AssignmentReason
) -> dict[str, str | None]:
    """Write the history; what the fact says of it."""
    ends = {"from_id": row.assignee_id, "to_id": user_id}
    session.add(
        Assignment(app_id=row.app_id, conversation_id=row.id, reason=reason, actor=author.actor, **ends),
    )
    names = {"from": row.assignee_id, "to": user_id}
    return {name: str(id_) if id_ else None for name, id_ in names.items()} | {"reason": reason.value}
