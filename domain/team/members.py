"""The members of a team: listed, given another role, removed, leaving, handing over."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict, Forbidden
from domain import facts, proofs, sessions
from domain.api_keys import control as api_keys
from domain.conversations.assignment import members as assignment
from domain.pages import Page, PageRequest, page
from domain.permissions import outranks
from domain.principals import Principal
from domain.team import invitations, roster
from models.facts import FactKind
from models.sessions import UserSession
from models.team import Membership, Role
from models.two_factors import TwoFactor


async def listed(session: AsyncSession, app_id: UUID, request: PageRequest) -> Page[Membership]:
    """A page of the team, who joined first comes first."""
    return await page(session, sa.select(Membership).where(Membership.app_id == app_id), Membership.id, request)


async def with_second_factor(session: AsyncSession, user_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the people who have a second factor that counts."""
    counting = sa.and_(TwoFactor.user_id.in_(user_ids), TwoFactor.confirmed_at.is_not(None))
    return set(await session.scalars(sa.select(TwoFactor.user_id).where(counting)))


async def last_active(session: AsyncSession, members: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], datetime]:
    """When each was last active in their app, as far as sessions are kept. Members are pairs of app and user."""
    app_id, user_id = UserSession.app_id, UserSession.user_id
    seen = sa.select(app_id, user_id, sa.func.max(UserSession.last_active_at)).group_by(app_id, user_id)
    rows = await session.execute(seen.where(sa.tuple_(app_id, user_id).in_(members)))
    return {(app, user): instant for app, user, instant in rows}


async def update(session: AsyncSession, principal: Principal, membership_id: UUID, role: Role) -> Membership:
    """Give a member another role. They sign in again to use it; whoever changes themselves stays signed in.

    Raises:
        NotFound: there is no such member.
        Forbidden: the member's role, or the new one, is above the asker's.
        Conflict: they are the last owner.
    """
    asker = await roster.hold(session, principal)
    member = await roster.within_reach(session, asker, membership_id)
    roster.refuse_above(role, asker)
    await _give(session, principal, member, role)
    return member


async def transfer(session: AsyncSession, principal: Principal, membership_id: UUID) -> Membership:
    """Make another member an owner and the asker, an owner until now, an admin. The asker's password is proven before.

    Raises:
        NotFound: there is no such member.
        Forbidden: the asker is no owner.
        Conflict: the member is the asker.
    """
    asker = await roster.hold(session, principal)
    member = await roster.within_reach(session, asker, membership_id)
    if asker.role is not Role.OWNER:
        raise Forbidden("Only an owner can hand over the ownership.")
    if member.id == asker.id:
        raise Conflict("You are the owner already; name another member.", field="id")
    await _give(session, principal, member, Role.OWNER)
    await _give(session, principal, asker, Role.ADMIN)
    return member


async def remove(session: AsyncSession, principal: Principal, membership_id: UUID) -> Membership:
    """Take a member out of the team. Their sessions in it end; the asker takes over the API keys they made.

    Raises:
        NotFound: there is no such member.
        Forbidden: the member's role is above the asker's.
        Conflict: the member is the asker.
    """
    asker = await roster.hold(session, principal)
    member = await roster.within_reach(session, asker, membership_id)
    if member.id == asker.id:
        raise Conflict("This is yourself; to leave the team, use leaveApp.", field="id")
    await _dismiss(session, principal, member, heir_id=asker.user_id)
    return member


async def leave(session: AsyncSession, principal: Principal) -> Membership:
    """Leave the team. The sessions in it end; the owner who joined first takes over the API keys.

    Raises:
        Conflict: the asker is the last owner.
    """
    asker = await roster.hold(session, principal)
    await _dismiss(session, principal, asker, heir_id=await _other_owner(session, asker))
    return asker


async def _other_owner(session: AsyncSession, member: Membership) -> UUID:
    """The owner who joined first, other than `member`.

    Raises:
        Conflict: there is none.
    """
    others = sa.and_(
        Membership.app_id == member.app_id, Membership.role == Role.OWNER, Membership.user_id != member.user_id
    )
    found = await session.scalar(sa.select(Membership.user_id).where(others).order_by(Membership.id).limit(1))
    if found is None:
        raise Conflict("An app has an owner: make somebody else one first, with updateMember.")
    return found


async def _give(session: AsyncSession, principal: Principal, member: Membership, role: Role) -> None:
    if member.role is role:
        return
    if member.role is Role.OWNER:
        await _other_owner(session, member)
    member.role = role
    proofs.outdated(session)
    facts.record(session, principal.author, FactKind.MEMBERSHIP_UPDATED, member)
    lost = [above for above in Role if outranks(above, role)]
    await invitations.void(session, principal, member, lost)
    keep = principal.session_id
    await sessions.end_all(session, principal.author, member.user_id, app_id=member.app_id, but=keep)


async def _dismiss(session: AsyncSession, principal: Principal, member: Membership, heir_id: UUID) -> None:
    await session.delete(member)
    facts.record(session, principal.author, FactKind.MEMBERSHIP_DELETED, member)
    await session.flush()
    await assignment.release(session, principal, member)
    await invitations.void(session, principal, member, list(Role))
    await sessions.end_all(session, principal.author, member.user_id, app_id=member.app_id)
    await api_keys.hand_over(session, principal, member.user_id, heir_id)
