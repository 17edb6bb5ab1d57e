"""Sign-ins: started, renewed, moved to another app, listed, ended.

Whoever touches several sessions of a person first waits for their turn (`_in_turn`), so that two never wait for each
other's rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core import security
from core.clock import now
from core.config import config
from core.database import transaction
from core.errors import NotFound, Unauthenticated
from core.ids import new_id
from domain import facts, mails, proofs, refresh_tokens
from domain.audit import entries
from domain.principals import Author, Caller, Principal
from models.facts import FactKind
from models.sessions import UserSession
from models.team import AdminUser, Membership

ABSOLUTE = timedelta(hours=24)
IDLE = timedelta(minutes=30)
SEEN_EVERY = timedelta(seconds=10) - proofs.FRESH
"""Use is noted so often. With what a remembered proof hides, a session ends ten seconds before its time at most."""
GRACE = timedelta(seconds=10)
LIVE_AT_MOST = 5
TEAM = "team"
ENDED = "The session has ended. Sign in again."


@dataclass(frozen=True)
class SignedIn:
    """What a sign-in hands out; the tokens are shown this once.

    Attributes:
        access_token: proves who asks, until `expires_at`.
        refresh_token: buys the next pair of tokens, once.
        challenge: none, as nothing is left to be proven; see `domain.sign_ins.Challenged`.
    """

    access_token: str
    refresh_token: str
    expires_at: datetime
    session: UserSession
    challenge: None = None


def live(at: datetime) -> sa.ColumnElement[bool]:
    """The condition that a session is neither revoked, nor too old, nor idle for too long."""
    return sa.and_(
        UserSession.revoked_at.is_(None), UserSession.expires_at > at, UserSession.last_active_at > at - IDLE
    )


async def start(
    session: AsyncSession, member: Membership, caller: Caller, *, second_factor_at: datetime | None = None
) -> SignedIn:
    """A new session of `member`; of the live ones only the five newest stay, and the audit log tells which went.

    Args:
        session: the transaction of the sign-in.
        member: who signs in, and the app they land in.
        caller: where they are.
        second_factor_at: when they have proven their second factor; None when they have none.
    """
    at = now()
    row = UserSession(
        id=new_id(),
        created_at=at,
        app_id=member.app_id,
        user_id=member.user_id,
        ip=caller.ip,
        user_agent=caller.user_agent[:300],
        second_factor_at=second_factor_at,
        last_active_at=at,
        expires_at=at + ABSOLUTE,
    )
    author = Author(f"user:{row.user_id}", caller.ip, row.id)
    await _make_room(session, author, row.user_id)
    return await _begin(session, author, FactKind.SESSION_STARTED, row)


async def landing(session: AsyncSession, user: AdminUser) -> Membership | None:
    """The app that a person lands in by signing in: that of their newest session, or else the one they joined first.

    None when they are in no app, and when their password has changed since `user` was read: who knew the old one does
    not slip in while all sessions are being ended.
    """
    same = sa.select(AdminUser.id).where(AdminUser.id == user.id, AdminUser.password_hash == user.password_hash)
    if await session.scalar(same.with_for_update(read=True)) is None:
        return None
    there = sa.and_(UserSession.app_id == Membership.app_id, UserSession.user_id == Membership.user_id)
    used = sa.select(sa.func.max(UserSession.created_at)).where(there).scalar_subquery()
    own = sa.select(Membership).where(Membership.user_id == user.id)
    return await session.scalar(own.order_by(used.desc().nulls_last(), Membership.created_at).limit(1))


async def _make_room(session: AsyncSession, author: Author, user_id: UUID) -> None:
    """End the oldest until four are left."""
    await _in_turn(session, user_id)
    own = sa.select(UserSession).where(UserSession.user_id == user_id, live(now())).with_for_update(key_share=True)
    newest_first = own.order_by(UserSession.created_at.desc(), UserSession.id.desc())
    _end(session, author, (await session.scalars(newest_first.offset(LIVE_AT_MOST - 1))).all())


async def _in_turn(session: AsyncSession, user_id: UUID) -> None:
    """Wait until nobody else works at the sessions of this person: six sign-ins at once leave five."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(str(user_id), 1))))


async def _begin(session: AsyncSession, author: Author, kind: FactKind, row: UserSession) -> SignedIn:
    token = refresh_tokens.first(row.id)
    row.refresh_hash = security.token_hash(token)
    session.add(row)
    facts.record(session, author, kind, row)
    await session.flush()
    return _hand_out(row, token)


def _hand_out(row: UserSession, refresh_token: str) -> SignedIn:
    """The tokens of a session. The access token ends with it at the latest."""
    lifetime = min(timedelta(minutes=config().access_token_minutes), row.expires_at - now())
    claims = {"sub": str(row.user_id), "sid": str(row.id), "app": str(row.app_id)}
    return SignedIn(security.sign(TEAM, claims, lifetime), refresh_token, now() + lifetime, row)


async def refresh(caller: Caller, token: str) -> SignedIn:
    """The next pair of tokens for the session that `token` belongs to; `token` is used up. Has its own transaction.

    A token that was used up within the last ten seconds gets the same refresh token again: a client may ask twice at
    once, or miss the answer. Later, two have the token, and one of them is a thief: the session ends for both, and the
    person gets a mail. The session never lives longer than it would have.

    Raises:
        Unauthenticated: the token is made up or used, or its session has ended.
    """
    session_id, renewed = refresh_tokens.session_of(token), None
    if session_id is not None:
        async with transaction(across_apps=True) as session:
            renewed = await _renew(session, caller, session_id, token)
    if renewed is None:
        raise Unauthenticated(ENDED, field="refreshToken")
    return renewed


async def _renew(session: AsyncSession, caller: Caller, session_id: UUID, token: str) -> SignedIn | None:
    """Tokens, or None when there are none to be had: what was done about it stays."""
    known = sa.select(UserSession).where(UserSession.id == session_id, live(now()))
    row = await session.scalar(known.with_for_update(key_share=True))
    if row is None:
        return None
    used, following = security.token_hash(token), refresh_tokens.successors(token)
    if used == row.refresh_hash:
        given: str | None = following[0]
        row.previous_hash, row.refresh_hash = used, security.token_hash(following[0])
        row.renewed_at = row.last_active_at = now()
        _enter(session, Author(f"user:{row.user_id}", caller.ip, row.id), "session.renewed", row)
    elif (given := _just_given(row, used, following)) is None:
        await _end_reused(session, caller, row)
    return _hand_out(row, given) if given else None


def _just_given(row: UserSession, used: str, following: list[str]) -> str | None:
    """Which of `following` was given for a token that was used up just now; None when it was not, or long ago."""
    if used != row.previous_hash or row.renewed_at is None or now() - row.renewed_at >= GRACE:
        return None
    return next((one for one in following if security.token_hash(one) == row.refresh_hash), None)


async def _end_reused(session: AsyncSession, caller: Caller, row: UserSession) -> None:
    row.revoked_at = now()
    proofs.outdated(session)
    _enter(session, Author("nobody", caller.ip), "session.reused", row)
    email = (await session.scalars(sa.select(AdminUser.email).where(AdminUser.id == row.user_id))).one()
    told = (
        f"A refresh token of your session was used a second time, from the address {caller.ip or 'unknown'}. "
        "Somebody may have copied it, so the session was ended. Sign in again; if this goes on, change your password."
    )
    mails.queue(session, to=email, subject="ReplyHQ: a session was ended", body=f"{told}\n")


def _enter(session: AsyncSession, author: Author, action: str, row: UserSession) -> None:
    change = entries.change_of(session, row)
    entries.enter(session, author, action, app_id=row.app_id, entity="UserSession", entity_id=row.id, change=change)


async def switch(session: AsyncSession, principal: Principal, app_id: UUID) -> SignedIn:
    """Go on in another app that the asker belongs to: their session ends, and they get one there.

    Raises:
        NotFound: they belong to no such app.
        Unauthenticated: their session has ended meanwhile.
    """
    here = sa.select(Membership.id).where(Membership.app_id == app_id, Membership.user_id == principal.person())
    if await session.scalar(here.with_for_update(read=True, key_share=True)) is None:
        raise NotFound("You belong to no such app.", field="appId")
    return await replace(session, principal, FactKind.SESSION_SWITCHED, app_id=app_id)


async def replace(
    session: AsyncSession,
    principal: Principal,
    kind: FactKind,
    *,
    app_id: UUID | None = None,
    second_factor_at: datetime | None = None,
) -> SignedIn:
    """The asker's session under a new id and with new tokens; the old one ends.

    When it ends at the latest, and where the person signed in, stay as they are; so do the app and the proof of the
    second factor unless others are given.

    Raises:
        Unauthenticated: it has ended meanwhile.
    """
    await _in_turn(session, principal.person())
    own = sa.select(UserSession).where(UserSession.id == principal.session_id, live(now()))
    old = await session.scalar(own.with_for_update(key_share=True))
    if old is None:
        raise Unauthenticated(ENDED)
    row = UserSession(
        id=new_id(),
        app_id=app_id or old.app_id,
        user_id=old.user_id,
        ip=old.ip,
        user_agent=old.user_agent,
        second_factor_at=second_factor_at or old.second_factor_at,
        last_active_at=now(),
        expires_at=old.expires_at,
    )
    _end(session, principal.author, [old])
    return await _begin(session, principal.author, kind, row)


async def touch(session: AsyncSession, session_ids: Sequence[UUID]) -> None:
    """Note that sessions are used now, unless that was noted just before; one that somebody else locks is left out."""
    stale = sa.and_(UserSession.id.in_(session_ids), UserSession.last_active_at < now() - SEEN_EVERY)
    free = sa.select(UserSession.id).where(stale).with_for_update(skip_locked=True, key_share=True)
    seen = sa.update(UserSession).where(UserSession.id.in_(free.scalar_subquery())).values(last_active_at=now())
    await session.execute(seen.execution_options(synchronize_session=False))


async def listed(session: AsyncSession, user_id: UUID) -> Sequence[UserSession]:
    """The live sessions of a person in all their apps, newest first: five at most."""
    own = sa.select(UserSession).where(UserSession.user_id == user_id, live(now()))
    return (await session.scalars(own.order_by(UserSession.created_at.desc()))).all()


async def revoke(session: AsyncSession, principal: Principal, session_id: UUID) -> UserSession:
    """End one of the person's own sessions; ending it twice is the same.

    Raises:
        NotFound: they have no such session.
    """
    own = UserSession.user_id == principal.person()
    row = await session.scalar(
        sa.select(UserSession).where(UserSession.id == session_id, own).with_for_update(key_share=True)
    )
    if row is None:
        raise NotFound("You have no such session.", field="id")
    if row.revoked_at is None:
        _end(session, principal.author, [row])
    return row


async def end_all(
    session: AsyncSession, author: Author, user_id: UUID, *, but: UUID | None = None, app_id: UUID | None = None
) -> Sequence[UserSession]:
    """End the live sessions of a person in all their apps, or in the one that is named, but one if it is named.

    Gives those that ended.
    """
    await _in_turn(session, user_id)
    own = sa.select(UserSession).where(
        UserSession.user_id == user_id, UserSession.id.is_distinct_from(but), live(now())
    )
    if app_id:
        own = own.where(UserSession.app_id == app_id)
    ended = (await session.scalars(own.order_by(UserSession.id).with_for_update(key_share=True))).all()
    _end(session, author, ended)
    return ended


def _end(session: AsyncSession, author: Author, rows: Sequence[UserSession]) -> None:
    if rows:
        proofs.outdated(session)
    for row in rows:
        row.revoked_at = now()
        facts.record(session, author, FactKind.SESSION_REVOKED, row)
