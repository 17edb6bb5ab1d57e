"""Who is there: sign-up, sign-in, and the proof that comes with every request."""

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core import ratelimit, security
from core.clock import now
from core.config import config
from core.database import transaction
from core.errors import FeatureDisabled, RateLimited, Unauthenticated
from domain import apps, devices, sessions
from domain.permissions import DEVICE_PERMISSIONS, ROLE_PERMISSIONS
from domain.principals import Caller, Principal
from domain.sessions import SignedIn
from models.sessions import UserSession
from models.team import AdminUser, Membership

TRIES_PER_ACCOUNT = 10
TRIES_PER_IP = 50
TRY_WINDOW_SECONDS = 900.0


async def sign_up(caller: Caller, *, app_name: str, name: str, email: str, password: str) -> SignedIn:
    """A new app with its owner, signed in.

    Raises:
        FeatureDisabled: sign-up is closed by configuration.
        RateLimited: too many from this address.
        Invalid, Conflict: as `apps.create`.
    """
    if not config().sign_up_open:
        raise FeatureDisabled("Sign-up is closed here; ask the operator of this server for an account.")
    await _throttle(f"sign-up:{caller.ip}", TRIES_PER_ACCOUNT)
    async with transaction() as session:
        member = await apps.create(session, name=app_name, email=email, password=password, owner_name=name)
        return await sessions.start(session, member, caller)


async def sign_in(caller: Caller, *, email: str, password: str) -> SignedIn:
    """A session for who knows the password. It has its own transactions: none is open while the password is hashed.

    Raises:
        Unauthenticated: e-mail and password do not belong together; the answer never tells which is wrong.
        RateLimited: too many tries for this account or from this address.
    """
    await throttle_sign_in(email, caller.ip)
    async with transaction() as session:
        user = await session.scalar(sa.select(AdminUser).where(AdminUser.email == email.strip().lower()))
    known = await security.verify_password(password[: apps.PASSWORD_MOST + 1], user.password_hash if user else None)
    async with transaction() as session:
        member = await _first_membership(session, user.id) if user and known else None
        if member is None:
            raise Unauthenticated("E-mail or password is wrong.")
        return await sessions.start(session, member, caller)


async def throttle_sign_in(email: str, ip: str) -> None:
    """Count a try, before the password is looked at.

    Raises:
        RateLimited: one too many.
    """
    account = security.token_hash(email.strip().lower())
    await _throttle(f"sign-in:ip:{ip}", TRIES_PER_IP)
    await _throttle(f"sign-in:account:{account}", TRIES_PER_ACCOUNT)


async def _throttle(key: str, limit: int) -> None:
    wait = await ratelimit.allow(key, limit, TRY_WINDOW_SECONDS, fallback="local")
    if wait > 0:
        raise RateLimited(f"Too many tries. Wait {round(wait) + 1} seconds.", retry_after=wait)


async def _first_membership(session: AsyncSession, user_id: UUID) -> Membership | None:
    """The app a person lands in: the one they joined first."""
    own = sa.select(Membership).where(Membership.user_id == user_id).order_by(Membership.created_at)
    return await session.scalar(own.limit(1))


async def authenticate(token: str) -> Principal:
    """Who holds this token. Looks at the database each time, so that a revoked session ends at once.

    Raises:
        Unauthenticated: nobody any more, or never.
    """
    claims = security.read(token)
    expires_at = datetime.fromtimestamp(claims["exp"], UTC)
    async with transaction() as session:
        if claims["aud"] == sessions.TEAM:
            return await _person(session, UUID(claims["sid"]), expires_at)
        return await _device(session, UUID(claims["app"]), UUID(claims["sub"]), expires_at)


async def _person(session: AsyncSession, session_id: UUID, expires_at: datetime) -> Principal:
    """The person of a live session, with the rights their role gives today."""
    found = await session.execute(
        sa.select(UserSession, Membership.role)
        .join(
            Membership,
            sa.and_(Membership.app_id == UserSession.app_id, Membership.user_id == UserSession.user_id),
        )
        .where(UserSession.id == session_id, sessions.live(now()))
    )
    row = found.one_or_none()
    if row is None:
        raise Unauthenticated("The session has ended. Sign in again.")
    signed_in, role = row
    if now() - signed_in.last_active_at > sessions.SEEN_EVERY:
        signed_in.last_active_at = now()
    return Principal(
        app_id=signed_in.app_id,
        permissions=ROLE_PERMISSIONS[role],
        expires_at=expires_at,
        user_id=signed_in.user_id,
        session_id=signed_in.id,
    )


async def _device(session: AsyncSession, app_id: UUID, device_id: UUID, expires_at: datetime) -> Principal:
    """A device that is still registered."""
    if not await devices.exists(session, app_id, device_id):
        raise Unauthenticated("This device is not registered any more. Register it again.")
    return Principal(app_id=app_id, permissions=DEVICE_PERMISSIONS, expires_at=expires_at, device_id=device_id)
