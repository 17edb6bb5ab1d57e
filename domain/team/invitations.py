"""Invitations into a team: sent by mail, sent again, revoked. Only the hash of what a mail holds is kept."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core import security
from core.clock import now
from core.config import config
from core.errors import Conflict, NotFound
from core.ids import new_id
from domain import checks, facts, mails
from domain.pages import Page, PageRequest, page
from domain.principals import Principal
from domain.team import roster
from models.apps import App
from models.facts import FactKind
from models.invitations import Invitation
from models.team import AdminUser, Membership, Role

LIFETIME = timedelta(days=7)
OPEN_MOST = 100
PENDING = sa.and_(Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None))
"""Neither accepted nor revoked. An e-mail has one such in an app at most, though it may have expired."""
_BODY = """{inviter} invites you to the team of {app}, as {role}.

Accept within 7 days:
{link}

If you do not know what this is about, there is nothing to do.
"""


def is_open(at: datetime) -> sa.ColumnElement[bool]:
    """The condition that an invitation can be accepted."""
    return sa.and_(PENDING, Invitation.expires_at > at)


async def listed(session: AsyncSession, app_id: UUID, request: PageRequest) -> Page[Invitation]:
    """A page of the invitations that are open or have expired, newest first."""
    pending = sa.select(Invitation).where(Invitation.app_id == app_id, PENDING)
    return await page(session, pending, Invitation.id, request, newest_first=True)


async def invite(session: AsyncSession, principal: Principal, email: str, role: Role) -> Invitation:
    """Invite an e-mail address to a role. Where an invitation has expired, it is opened anew.

    Raises:
        Invalid: it is no e-mail address.
        Forbidden: the role is above the asker's own.
        Conflict: the address is a member's or has been invited, or too many are open.
    """
    address = checks.mailbox(email, "email")
    roster.refuse_above(role, await roster.hold(session, principal))
    await _refuse_member(session, principal.app_id, address)
    await _refuse_too_many(session, principal.app_id)
    row = await session.scalar(_pending(principal.app_id, Invitation.email == address))
    if row is None:
        row = Invitation(id=new_id(), app_id=principal.app_id, email=address, role=role)
        return await _send(session, principal, row, FactKind.INVITATION_CREATED)
    if row.expires_at > now():
        raise Conflict("This address has been invited; use resendInvitation to send another link.", field="email")
    row.role = role
    return await _send(session, principal, row, FactKind.INVITATION_RESENT)


async def resend(session: AsyncSession, principal: Principal, invitation_id: UUID) -> Invitation:
    """Send a new link, good for 7 days; the old one is dead.

    Raises:
        NotFound: there is no such invitation, or it has been accepted or revoked.
        Forbidden: its role is above the asker's own.
        Conflict: it has expired and too many others are open.
    """
    row = await _reached(session, principal, invitation_id)
    if row.expires_at <= now():
        await _refuse_too_many(session, principal.app_id)
    return await _send(session, principal, row, FactKind.INVITATION_RESENT)


async def revoke(session: AsyncSession, principal: Principal, invitation_id: UUID) -> Invitation:
    """Make an invitation void.

    Raises:
        NotFound: there is no such invitation, or it has been accepted or revoked.
        Forbidden: its role is above the asker's own.
    """
    row = await _reached(session, principal, invitation_id)
    _close(session, principal, row)
    return row


async def void(session: AsyncSession, principal: Principal, inviter: Membership, roles: Collection[Role]) -> None:
    """Revoke what `inviter` has sent for any of `roles`, which they may not give any more."""
    sent = sa.and_(Invitation.invited_by_id == inviter.user_id, Invitation.role.in_(roles))
    for row in await session.scalars(_pending(inviter.app_id, sent).order_by(Invitation.id)):
        _close(session, principal, row)


def _pending(app_id: UUID, condition: sa.ColumnElement[bool]) -> sa.Select[Invitation]:
    """Locked, as who accepts one does not wait for the lock of the team."""
    return sa.select(Invitation).where(Invitation.app_id == app_id, PENDING, condition).with_for_update(key_share=True)


async def _reached(session: AsyncSession, principal: Principal, invitation_id: UUID) -> Invitation:
    asker = await roster.hold(session, principal)
    row = await session.scalar(_pending(principal.app_id, Invitation.id == invitation_id))
    if row is None:
        raise NotFound("There is no such invitation, or it has been accepted or revoked.", field="id")
    roster.refuse_above(row.role, asker)
    return row


def _close(session: AsyncSession, principal: Principal, row: Invitation) -> None:
    row.revoked_at = now()
    facts.record(session, principal.author, FactKind.INVITATION_REVOKED, row)


async def _refuse_member(session: AsyncSession, app_id: UUID, email: str) -> None:
    members = sa.select(Membership.id).join(AdminUser, AdminUser.id == Membership.user_id)
    if await session.scalar(members.where(Membership.app_id == app_id, AdminUser.email == email)):
        raise Conflict("This person is in the team already; use updateMember to change their role.", field="email")


async def _refuse_too_many(session: AsyncSession, app_id: UUID) -> None:
    counted = sa.select(sa.func.count()).where(Invitation.app_id == app_id, is_open(now()))
    if (await session.scalar(counted) or 0) >= OPEN_MOST:
        raise Conflict(f"{OPEN_MOST} invitations are open; revoke some that nobody will accept.")


async def _send(session: AsyncSession, principal: Principal, row: Invitation, kind: FactKind) -> Invitation:
    """Give the invitation a new token, and mail it. Whoever sends it last is who invites."""
    token, inviter_id = security.random_token(), principal.person()
    row.token_hash, row.invited_by_id = security.token_hash(token), inviter_id
    row.expires_at = now() + LIFETIME
    session.add(row)
    facts.record(session, principal.author, kind, row)
    names = sa.select(App.name, AdminUser.name).join(AdminUser, AdminUser.id == inviter_id)
    app, inviter = (await session.execute(names.where(App.id == row.app_id))).one()
    link = f"{config().public_url.rstrip('/')}/accept-invitation#token={token}"
    body = _BODY.format(inviter=inviter, app=app, role=row.role.value, link=link)
    mails.queue(session, to=row.email, subject=f"Join {' '.join(app.split())}", body=body, app_id=row.app_id)
    return row
