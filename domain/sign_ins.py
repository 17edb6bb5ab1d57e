"""How somebody comes in: sign-up, sign-in, and its second step for who has a second factor."""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core import security
from core.clock import now
from core.config import config
from core.database import transaction
from core.errors import FeatureDisabled, RateLimited, Unauthenticated
from domain import apps, sessions, tries
from domain.audit import entries
from domain.principals import Author, Caller
from domain.sessions import SignedIn
from domain.two_factors import proof
from domain.two_factors.proof import Given
from domain.two_factors.standing import confirmed_at
from models.team import AdminUser, Membership

CHALLENGE = "challenge"
CHALLENGE_LIFETIME = timedelta(minutes=5)
TOO_LATE = "A challenge is good for five minutes. Begin again with signIn."


@dataclass(frozen=True)
class Challenged:
    """What a sign-in hands out to who has a second factor: no tokens yet, but what `confirm` takes.

    Attributes:
        challenge: a token that says the password was right. It opens nothing by itself.
    """

    challenge: str
    access_token: None = None
    refresh_token: None = None
    expires_at: None = None
    session: None = None


async def sign_up(caller: Caller, *, app_name: str, name: str, email: str, password: str) -> SignedIn:
    """A new app with its owner, signed in.

    Raises:
        FeatureDisabled: sign-up is closed by configuration.
        RateLimited: too many from this address.
        Invalid, Conflict: as `apps.create`.
    """
    if not config().sign_up_open:
        raise FeatureDisabled("Sign-up is closed here; ask the operator of this server for an account.")
    await tries.count_sign_up(caller.ip)
    async with transaction(across_apps=True) as session:
        member = await apps.create(
            session, name=app_name, email=email, password=password, owner_name=name, caller=caller
        )
        return await sessions.start(session, member, caller)


async def sign_in(caller: Caller, *, email: str, password: str) -> SignedIn | Challenged:
    """A session for who knows the password; a challenge when they must prove a second factor too.

    It has its own transactions: none is open while the password is hashed. Whether there is such an account shows
    neither in what is answered nor in how long it takes.

    Raises:
        Unauthenticated: e-mail and password do not belong together; the answer never tells which is wrong.
        RateLimited: too many tries for this account or from this address.
    """
    who = AdminUser.email == tries.account(email)
    await _count(tries.count_password(email, caller.ip), caller, who)
    user = await _find(who)
    known = await security.verify_password(password[: tries.PASSWORD_CHARS], user.password_hash if user else None)
    if user and known:
        await _refresh_hash(user, password)
    begun = await _begin(user, caller) if user and known else None
    if begun is None:
        await _note_failure(caller, who, "password")
        raise Unauthenticated("E-mail or password is wrong.")
    if isinstance(begun, SignedIn):
        await tries.forgive(email, caller.ip)
    return begun


async def _refresh_hash(user: AdminUser, password: str) -> None:
    """Keep a right password by today's parameters, unless it changes at this moment. Nobody else can do it later."""
    if not security.is_outdated(user.password_hash):
        return
    anew = await security.hash_password(password)
    same = sa.and_(AdminUser.id == user.id, AdminUser.password_hash == user.password_hash)
    async with transaction(across_apps=True) as session:
        changed = sa.update(AdminUser).where(same).values(password_hash=anew).returning(AdminUser.id)
        if await session.scalar(changed.execution_options(synchronize_session=False)):
            user.password_hash = anew


async def _begin(user: AdminUser, caller: Caller) -> SignedIn | Challenged | None:
    """What follows a right password; nothing when the person is in no app."""
    async with transaction(across_apps=True) as session:
        member = await sessions.landing(session, user)
        if member is None:
            return None
        if await confirmed_at(session, user.id):
            _note_challenge(session, caller, member)
            return Challenged(_challenge(user))
        return await sessions.start(session, member, caller)


def _note_challenge(session: AsyncSession, caller: Caller, member: Membership) -> None:
    """Enter in the audit log that somebody knew the password: should no code follow, its person may want to know."""
    action, author = "sign_in.challenged", Author("nobody", caller.ip)
    entries.enter(session, author, action, app_id=member.app_id, entity="AdminUser", entity_id=member.user_id)


def _challenge(user: AdminUser) -> str:
    return security.sign(CHALLENGE, {"sub": str(user.id), "password": _mark(user)}, CHALLENGE_LIFETIME)


def _mark(user: AdminUser) -> str:
    """Of the password that a challenge was given for: it is worth nothing once the password has changed."""
    return security.token_hash(user.password_hash)[:16]


async def confirm(caller: Caller, *, challenge: str, code: str) -> SignedIn:
    """A session for who knew the password, and now proves the second factor.

    Raises:
        Unauthenticated: the challenge is over, or the code is wrong or was used.
        RateLimited: too many tries for this account or from this address.
    """
    user = await _challenged(challenge)
    if user is None:
        await _note_failure(caller, sa.false(), "challenge")
        raise Unauthenticated(TOO_LATE, field="challenge")
    who = AdminUser.id == user.id
    await _count(tries.count_code(user.email, caller.ip), caller, who)
    given = await proof.read(user.id, code)
    signed_in = await _finish(user, given, caller)
    if signed_in is None:
        await _note_failure(caller, who, "code")
        way_out = "The code is wrong or was used before. Take the next one, or a backup code."
        raise Unauthenticated(way_out, field="code")
    await tries.forgive_codes(user.email, caller.ip)
    return signed_in


async def _challenged(challenge: str) -> AdminUser | None:
    """Whom a challenge was given to; nobody when it is too old, or their password has changed since."""
    try:
        claims = security.read(challenge, {CHALLENGE: ["password"]})
    except Unauthenticated:
        return None
    user = await _find(AdminUser.id == UUID(claims["sub"]))
    return user if user and _mark(user) == claims["password"] else None


async def _finish(user: AdminUser, given: Given, caller: Caller) -> SignedIn | None:
    """A session, by the transaction that uses the code up; nothing when it proves nothing."""
    author = Author(f"user:{user.id}", caller.ip)
    async with transaction(across_apps=True) as session:
        member = await sessions.landing(session, user)
        if member is None or not await proof.use(session, given, author, member.app_id):
            return None
        return await sessions.start(session, member, caller, second_factor_at=now())


async def _find(who: sa.ColumnElement[bool]) -> AdminUser | None:
    async with transaction(across_apps=True) as session:
        return await session.scalar(sa.select(AdminUser).where(who))


async def _count(counting: Awaitable[None], caller: Caller, who: sa.ColumnElement[bool]) -> None:
    """Count a try; note it when it is one too many."""
    try:
        await counting
    except RateLimited:
        await _note_failure(caller, who, "throttled")
        raise


async def _note_failure(caller: Caller, who: sa.ColumnElement[bool], reason: str) -> None:
    """Enter a failed sign-in in the audit log of the app that the person would have landed in.

    Of an account that does not exist nothing is kept but that somebody tried, in as many statements.
    """
    joined = sa.select(AdminUser.id, Membership.app_id).outerjoin(Membership, Membership.user_id == AdminUser.id)
    async with transaction(across_apps=True) as session:
        found = (await session.execute(joined.where(who).order_by(Membership.created_at).limit(1))).first()
    user_id, app_id = found or (None, None)
    author = Author("nobody", caller.ip)
    await tries.note_failure(author, "sign_in.failed", reason, app_id=app_id, user_id=user_id)
