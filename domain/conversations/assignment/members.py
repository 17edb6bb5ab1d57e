"""What a member of the team can take, and what becomes of their conversations when they go."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Forbidden
from domain import facts
from domain.conversations.assignment import waking
from domain.conversations.assignment.giving import take_away
from domain.conversations.assignment.settings import check_capacity
from domain.conversations.standing import ACTIVE
from domain.lookups import own
from domain.principals import Principal
from models.assignment import AssignmentReason
from models.conversations import Conversation
from models.facts import FactKind
from models.team import Membership


async def set_capacity(
    session: AsyncSession, principal: Principal, membership_id: UUID, capacity: int | None
) -> Membership:
    """Say how many open conversations a member is given at most: 0 for none, None for what the app says.

    Raises:
        Invalid: the number is out of its range.
        NotFound: there is no such member.
    """
    check_capacity(capacity, "capacity")
    member = await own(session, Membership, principal.app_id, membership_id, "member", lock=True)
    if member.capacity != capacity:
        member.capacity = capacity
        await _changed(session, principal, member)
    return member


async def set_away(session: AsyncSession, principal: Principal, *, is_away: bool) -> Membership:
    """Say whether the asker wants no conversations at present. They keep those that they have.

    Raises:
        Forbidden: they are no person, or have left the team.
    """
    theirs = sa.select(Membership).where(
        Membership.app_id == principal.app_id, Membership.user_id == principal.person()
    )
    member: Membership | None = await session.scalar(theirs.with_for_update(key_share=True))
    if member is None:
        raise Forbidden("You are no longer in this team.")
    if member.is_away is not is_away:
        member.is_away = is_away
        await _changed(session, principal, member)
    return member


async def _changed(session: AsyncSession, principal: Principal, member: Membership) -> None:
    facts.record(session, principal.author, FactKind.MEMBERSHIP_UPDATED, member)
    await session.flush()
    await waking.somebody_is_free(session, member.app_id)


async def release(session: AsyncSession, principal: Principal, member: Membership) -> None:
    """Take the conversations that are not closed away from a member who is out of the team."""
    theirs = (
        Conversation.app_id == member.app_id,
        Conversation.assignee_id == member.user_id,
        Conversation.status.in_(ACTIVE),
    )
    rows = sa.select(Conversation).where(*theirs).order_by(Conversation.id)
    for row in (await session.scalars(rows.with_for_update(key_share=True))).all():
        await take_away(session, principal.author, row, AssignmentReason.UNASSIGNED)
    await waking.somebody_is_free(session, member.app_id)
