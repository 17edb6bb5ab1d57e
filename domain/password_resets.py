"""Forgotten passwords: a link by mail, good once and for an hour, for who can read the mails of the account."""

from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from core import security
from core.clock import now
from core.config import config
from core.database import transaction
from core.errors import NotFound
from domain import mails, passwords, sessions, tries
from domain.audit import entries
from domain.principals import Author, Caller
from models.password_resets import PasswordReset
from models.team import AdminUser, Membership

LIFETIME = timedelta(minutes=60)


async def request(caller: Caller, email: str) -> None:
    """Mail a link to the person with this e-mail; an earlier one dies. Nothing tells whether there is such a person.

    For an e-mail without an account the same statements run, and the mail is taken back before the commit.

    Raises:
        RateLimited: too many for this account or from this address.
    """
    await tries.count_reset_request(email, caller.ip)
    address, token = tries.account(email), security.random_token()
    async with transaction(across_apps=True) as session:
        attempt = await session.begin_nested()
        user_id = await session.scalar(_replacing(address, token))
        mails.queue(session, to=address, subject="ReplyHQ: reset your password", body=_letter(token))
        await session.flush()
        await (attempt.commit() if user_id else attempt.rollback())
        author, app_id = Author("nobody", caller.ip), await _first_app(session, user_id)
        action = "user.password_reset_requested"
        entries.enter(session, author, action, app_id=app_id, entity="AdminUser", entity_id=user_id)


def _replacing(address: str, token: str) -> ReturningInsert[UUID]:
    """The statement that keeps the token for the account in the place of an earlier one, if there is the account."""
    fresh = {"token_hash": security.token_hash(token), "expires_at": now() + LIFETIME, "created_at": now()}
    values = [sa.literal(value, PasswordReset.__table__.c[name].type) for name, value in fresh.items()]
    person = sa.select(AdminUser.id, *values).where(AdminUser.email == address)
    kept = insert(PasswordReset).from_select(["user_id", *fresh], person)
    return kept.on_conflict_do_update(index_elements=["user_id"], set_=fresh).returning(PasswordReset.user_id)


def _letter(token: str) -> str:
    """The link leads where the operator says, never where a request says that it came to."""
    link = f"{config().public_url.rstrip('/')}/reset-password#token={token}"
    told = "Somebody, probably you, wants to reset the password of your account. This link is good once, for an hour:"
    return f"{told}\n\n{link}\n\nIf it was not you, do nothing: your password stays as it is.\n"


async def reset(caller: Caller, *, token: str, new: str) -> None:
    """Give the account that `token` was mailed to a new password. All its sessions end; nobody is signed in.

    The second factor stays as it is. It has its own transactions: none is open while the password is hashed.

    Raises:
        NotFound: the link was used, is too old, or a newer one was sent.
        Invalid: the new password is refused; the link stays good.
        RateLimited: too many tries from this address.
    """
    await tries.count_reset(caller.ip)
    async with transaction(across_apps=True) as session:
        user = await _holder(session, token)
    await passwords.check(new, field="newPassword", known=(user.email, user.name))
    hashed = await security.hash_password(new)
    async with transaction(across_apps=True) as session:
        await session.execute(sa.select(AdminUser.id).where(AdminUser.id == user.id).with_for_update(key_share=True))
        user = await _holder(session, token)  # looked at again: of two who use it at once the second finds it gone
        author, app_id = Author(f"user:{user.id}", caller.ip), await _first_app(session, user.id)
        await passwords.replace(session, author, user, hashed, action="user.password_reset", app_id=app_id)
        await sessions.end_all(session, author, user.id)


async def _holder(session: AsyncSession, token: str) -> AdminUser:
    """Whom a token was mailed to."""
    good = sa.and_(PasswordReset.token_hash == security.token_hash(token), PasswordReset.expires_at > now())
    known = sa.select(AdminUser).join(PasswordReset, PasswordReset.user_id == AdminUser.id).where(good)
    user = await session.scalar(known)
    if user is None:
        raise NotFound(
            "This link was used, is older than an hour, or a newer one was sent. Ask for another.", field="token"
        )
    return user


async def _first_app(session: AsyncSession, user_id: UUID | None) -> UUID | None:
    """The app that a person joined first: its audit log tells what concerns them in no app."""
    own = sa.select(Membership.app_id).where(Membership.user_id == sa.literal(user_id, sa.UUID()))
    return await session.scalar(own.order_by(Membership.created_at).limit(1))
