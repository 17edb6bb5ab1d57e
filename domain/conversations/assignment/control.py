"""Assigning by hand. It asks nobody how much they have, or whether they are there; they must be in the team."""

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict, Forbidden, Invalid
from domain.conversations import standing
from domain.conversations.assignment import queueing, waking
from domain.conversations.assignment.automatic import is_member
from domain.conversations.assignment.giving import give, take_away
from domain.principals import Principal
from models.assignment import AssignmentReason
from models.conversations import Conversation
from models.team import AdminUser

FIELD = "conversationId"


@dataclass(frozen=True)
class Held:
    """Who the asker believes answers a conversation; None for nobody."""

    by: UUID | None


class Taken(Conflict):
    """Somebody else answers the conversation than was believed. `found` has it as it is."""

    def __init__(self, row: Conversation, name: str | None) -> None:
        who = f"{name} answers" if name else "Nobody answers"
        super().__init__(f"{who} the conversation by now; look at it, then try again.", field="expectedAssigneeId")
        self.found = {"conversation": row}


async def assign(
    session: AsyncSession,
    principal: Principal,
    conversation_id: UUID,
    user_id: UUID,
    *,
    expected: Held | None = None,
) -> Conversation:
    """Let a person of the team answer a conversation, however much they have, there or not; doing it twice is the same.

    Args:
        session: the transaction.
        principal: who assigns.
        conversation_id: which, closed or not.
        user_id: whom.
        expected: who is believed to have it; None: whoever has.

    Raises:
        NotFound: no such conversation in this app.
        Taken: somebody else has it than was believed.
        Invalid: the person is not in the team.
    """
    row = await _held(session, principal, conversation_id, expected)
    if not await is_member(session, principal.app_id, user_id):
        raise Invalid("Only people of the team can answer; take one of `team`.", field="userId")
    if row.assignee_id != user_id:
        await give(session, principal.author, row, user_id, AssignmentReason.MANUAL)
        await waking.somebody_is_free(session, row.app_id)
    return row


async def unassign(
    session: AsyncSession, principal: Principal, conversation_id: UUID, *, expected: Held | None = None
) -> Conversation:
    """Let nobody answer a conversation. An OPEN one waits in the queue, for somebody else than who had it.

    Raises:
        NotFound: no such conversation in this app.
        Taken: somebody else has it than was believed.
    """
    row = await _held(session, principal, conversation_id, expected)
    if row.assignee_id is not None:
        await take_away(session, principal.author, row, AssignmentReason.UNASSIGNED)
        await waking.somebody_is_free(session, row.app_id)
    return row


async def take_next(session: AsyncSession, principal: Principal) -> Conversation | None:
    """Give the asker what comes first in the queue; None when nothing waits. Two who ask at once get different ones.

    Raises:
        Forbidden: the asker is no person, or has left the team.
    """
    user_id = principal.person()
    row: Conversation | None = await session.scalar(queueing.queued(principal.app_id, 1))
    # after the conversation, as every lock of a member is
    if not await is_member(session, principal.app_id, user_id):
        raise Forbidden("You are no longer in this team.")
    if row:
        await give(session, principal.author, row, user_id, AssignmentReason.QUEUE)
    return row


async def _held(
    session: AsyncSession, principal: Principal, conversation_id: UUID, expected: Held | None
) -> Conversation:
    """The conversation, locked, if it is as the asker believes."""
    row = await standing.get(session, principal.app_id, conversation_id, lock=True, field=FIELD)
    if expected and expected.by != row.assignee_id:
        name = await session.scalar(sa.select(AdminUser.name).where(AdminUser.id == row.assignee_id))
        # it is shown after the rollback, which would make it forget itself
        session.expunge(row)
        raise Taken(row, name)
    return row
