"""Sign-ins: started, renewed, listed, ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core import security
from core.clock import now
from core.config import config
from core.errors import NotFound, Unauthenticated
from core.ids import new_id
from domain import facts
from domain.principals import Caller, Principal
from models.facts import FactKind
from models.sessions import UserSession
from models.team import Membership

ABSOLUTE = timedelta(hours=24)
IDLE = timedelta(minutes=30)
SEEN_EVERY = timedelta(minutes=1)
LIVE_AT_MOST = 5
TEAM = "team"


@dataclass(frozen=True)
class SignedIn:
    """What a sign-in hands out; the tokens are shown this once.

    Attributes:
        access_token: proves who asks, until `expires_at`.
        refresh_token: buys the next pair of tokens, once.
    """

    access_token: str
    refresh_token: str
    expires_at: datetime
    session: UserSession


def live(at: datetime) -> sa.ColumnElement[bool]:
    """The condition that a session is neither revoked, nor too old, nor idle for too long."""
    return sa.and_(
        UserSession.revoked_at.is_(None), UserSession.expires_at > at, UserSession.last_active_at > at - IDLE
    )


async def start(session: AsyncSession, member: Membership, caller: Caller) -> SignedIn:
    """A new session of `member`; of the live ones only the five newest stay."""
    refresh, at = security.random_token(), now()
    row = UserSession(
        id=new_id(),
        app_id=member.app_id,
        user_id=member.user_id,
        refresh_hash=security.token_hash(refresh),
        ip=caller.ip,
        user_agent=caller.user_agent[:300],
        last_active_at=at,
        expires_at=at + ABSOLUTE,
    )
    await _make_room(session, member.user_id)
    session.add(row)
    facts.record(session, row.app_id, FactKind.SESSION_STARTED, row.id, actor=f"user:{row.user_id}", ip=caller.ip)
    await session.flush()
    return _hand_out(row, refresh)


async def _make_room(session: AsyncSession, user_id: UUID) -> None:
    """Revoke the oldest until four are left. The person's sign-ins queue on a lock, so that six at once leave five."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(str(user_id), 1))))
    kept = (
        sa.select(UserSession.id)
        .where(UserSession.user_id == user_id, live(now()))
        .order_by(UserSession.created_at.desc(), UserSession.id.desc())
        .limit(LIVE_AT_MOST - 1)
    )
    others = sa.and_(UserSession.user_id == user_id, UserSession.revoked_at.is_(None), UserSession.id.not_in(kept))
    await session.execute(sa.update(UserSession).where(others).values(revoked_at=now()))


def _hand_out(row: UserSession, refresh: str) -> SignedIn:
    """The tokens of a session. The access token ends with it at the latest."""
    lifetime = min(timedelta(minutes=config().access_token_minutes), row.expires_at - now())
    claims = {"sub": str(row.user_id), "sid": str(row.id), "app": str(row.app_id)}
    return SignedIn(security.sign(TEAM, claims, lifetime), refresh, now() + lifetime, row)


async def refresh(session: AsyncSession, token: str) -> SignedIn:
    """The next pair of tokens for the session that `token` belongs to; `token` is used up.

    Raises:
        Unauthenticated: the token is unknown or used, or its session has ended.
    """
    known = sa.select(UserSession).where(UserSession.refresh_hash == security.token_hash(token), live(now()))
    row = await session.scalar(known.with_for_update(key_share=True))
    if row is None:
        raise Unauthenticated("The session has ended. Sign in again.", field="refreshToken")
    following = security.random_token()
    row.refresh_hash, row.last_active_at = security.token_hash(following), now()
    return _hand_out(row, following)


async def touch(session: AsyncSession, session_ids: Sequence[UUID]) -> None:
    """Note that sessions are used now, unless that was noted a minute ago; one that somebody else locks is left out."""
    stale = sa.and_(UserSession.id.in_(session_ids), UserSession.last_active_at < now() - SEEN_EVERY)
    free = sa.select(UserSession.id).where(stale).with_for_update(skip_locked=True, key_share=True)
    seen = sa.update(UserSession).where(UserSession.id.in_(free.scalar_subquery())).values(last_active_at=now())
    await session.execute(seen.execution_options(synchronize_session=False))


async def listed(session: AsyncSession, user_id: UUID) -> Sequence[UserSession]:
    """The live sessions of a person, newest first: five at most."""
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
        row.revoked_at = now()
        facts.record(session, row.app_id, FactKind.SESSION_REVOKED, row.id, actor=principal.actor)
    return row
