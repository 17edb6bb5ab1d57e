"""Accepting an invitation: by somebody new, who gets an account, or by who has one and is signed in with it."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from core import security
from core.clock import now
from core.database import transaction
from core.errors import Conflict, NotFound, Unauthenticated
from core.ids import new_id
from domain import apps, checks, facts, passwords, sessions
from domain.principals import Author, Caller, Principal
from domain.sessions import SignedIn
from domain.team import invitations, limits
from models.apps import App
from models.facts import FactKind
from models.invitations import Invitation
from models.team import AdminUser, Membership, Role


@dataclass(frozen=True)
class Offer:
    """What somebody is invited to, as it may be shown to who holds the link.

    Attributes:
        app_name: the app whose team it is.
        inviter_name: who invites.
        has_account: whether there is an account with this e-mail, which its person has to sign in with.
    """

    app_name: str
    email: str
    role: Role
    inviter_name: str
    has_account: bool
    expires_at: datetime


async def look(session: AsyncSession, token: str) -> Offer:
    """What the link with this token offers.

    Raises:
        NotFound: nothing: it is unknown, accepted, revoked, replaced or expired.
    """
    inviter, invited = aliased(AdminUser), aliased(AdminUser)
    columns = (App.name, Invitation.email, Invitation.role, inviter.name, invited.id, Invitation.expires_at)
    offered = sa.select(*columns).select_from(Invitation).join(App, App.id == Invitation.app_id)
    offered = offered.join(inviter, inviter.id == Invitation.invited_by_id)
    offered = offered.outerjoin(invited, invited.email == Invitation.email)
    found = (await session.execute(offered.where(_known_by(token)))).one_or_none()
    if found is None:
        raise _dead()
    app_name, email, role, inviter_name, account_id, expires_at = found
    return Offer(app_name, email, role, inviter_name, account_id is not None, expires_at)


def _known_by(token: str) -> sa.ColumnElement[bool]:
    return sa.and_(Invitation.token_hash == security.token_hash(token), invitations.is_open(now()))


def _dead() -> NotFound:
    return NotFound("This invitation is no longer good. Ask who invited you for a new one.", field="token")


async def accept(
    caller: Caller, principal: Principal | None, *, token: str, name: str | None, password: str | None
) -> SignedIn:
    """Join the team, signed in to its app. It has its own transactions: none is open while a password is hashed.

    Args:
        caller: where the request comes from.
        principal: who asks; None when nobody is signed in.
        token: what the link holds.
        name: of the account to be made, when there is none with the e-mail.
        password: of that account.

    Raises:
        NotFound: the link offers nothing.
        Unauthenticated: there is an account with this e-mail, and nobody is signed in.
        Conflict: somebody else is signed in, or they are in the team already.
        Invalid: the account cannot be made with this name or password.
        RateLimited: too many tries from this address.
    """
    await limits.count_acceptance(caller.ip)
    async with transaction(across_apps=True) as session:
        offer, asker = await look(session, token), await _asker(session, principal)
    _refuse_others(offer, asker)
    if principal and asker:
        return await _join_as(principal, asker, token)
    return await _join_anew(caller, await _account(offer.email, name or "", password or ""), token)


async def _asker(session: AsyncSession, principal: Principal | None) -> AdminUser | None:
    return await session.get(AdminUser, principal.user_id) if principal and principal.user_id else None


def _refuse_others(offer: Offer, asker: AdminUser | None) -> None:
    if asker and asker.email != offer.email:
        raise Conflict(f"You are signed in as {asker.email}. Sign out, then accept the invitation of {offer.email}.")
    if offer.has_account and not asker:
        raise Unauthenticated("There is an account with this e-mail. Sign in with it, then accept the invitation.")


async def _account(email: str, name: str, password: str) -> AdminUser:
    """An account to be made."""
    called = checks.text(name, "name", most=100)
    await passwords.check(password, known=(email, called))
    return AdminUser(id=new_id(), email=email, name=called, password_hash=await security.hash_password(password))


async def _join_as(principal: Principal, user: AdminUser, token: str) -> SignedIn:
    """Join with the account that is signed in: its session goes on in the app that was joined."""
    async with transaction(across_apps=True) as session:
        member = await _join(session, principal.author, await _take(session, token), user)
        return await sessions.switch(session, principal, member.app_id)


async def _join_anew(caller: Caller, user: AdminUser, token: str) -> SignedIn:
    """Join with an account made for it."""
    async with transaction(across_apps=True) as session:
        invitation = await _take(session, token)
        await apps.refuse_taken(session, user.email)
        session.add(user)
        await session.flush()
        member = await _join(session, Author(f"user:{user.id}", caller.ip), invitation, user)
        return await sessions.start(session, member, caller)


async def _take(session: AsyncSession, token: str) -> Invitation:
    """The invitation, locked: of two who accept it at once the second finds it accepted."""
    open_one = sa.select(Invitation).where(_known_by(token)).with_for_update(key_share=True)
    row = await session.scalar(open_one)
    if row is None:
        raise _dead()
    return row


async def _join(session: AsyncSession, author: Author, invitation: Invitation, user: AdminUser) -> Membership:
    here = sa.and_(Membership.app_id == invitation.app_id, Membership.user_id == user.id)
    if await session.scalar(sa.select(Membership.id).where(here)):
        raise Conflict("You are in this team already.")
    invitation.accepted_at = now()
    facts.record(session, author, FactKind.INVITATION_ACCEPTED, invitation)
    member = Membership(id=new_id(), app_id=invitation.app_id, user_id=user.id, role=invitation.role)
    session.add(member)
    facts.record(session, author, FactKind.MEMBERSHIP_CREATED, member)
    await session.flush()
    return member
