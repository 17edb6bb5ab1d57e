"""Who is there: sign-up, sign-in, and the proof that comes with every request."""

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core import ratelimit, security
from core.batcher import Batcher
from core.clock import now
from core.config import config
from core.database import transaction
from core.errors import FeatureDisabled, RateLimited, Unauthenticated
from domain import apps, devices, sessions
from domain.permissions import DEVICE_PERMISSIONS, ROLE_PERMISSIONS
from domain.principals import Caller, Principal
from domain.sessions import SignedIn
from models.sessions import UserSession
from models.team import AdminUser, Membership, Role

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
        user = await session.scalar(sa.select(AdminUser).where(AdminUser.email == _account(email)))
    known = await security.verify_password(password[: apps.PASSWORD_MOST + 1], user.password_hash if user else None)
    async with transaction() as session:
        member = await _first_membership(session, user.id) if user and known else None
        if member is None:
            raise Unauthenticated("E-mail or password is wrong.")
        signed_in = await sessions.start(session, member, caller)
    await ratelimit.forgive(_account_key(email), TRIES_PER_ACCOUNT, TRY_WINDOW_SECONDS)
    return signed_in


def _account(email: str) -> str:
    """The e-mail as accounts have it; what could be none of them becomes one that nobody has."""
    return email.strip().lower().replace("\0", " ")


def _account_key(email: str) -> str:
    return f"sign-in:account:{security.token_hash(_account(email))}"


async def throttle_sign_in(email: str, ip: str) -> None:
    """Count a try, before the password is looked at. A success forgives the account its tries, not the address.

    Raises:
        RateLimited: one too many.
    """
    await _throttle(f"sign-in:ip:{ip}", TRIES_PER_IP)
    await _throttle(_account_key(email), TRIES_PER_ACCOUNT)


async def _throttle(key: str, limit: int) -> None:
    wait = await ratelimit.allow(key, limit, TRY_WINDOW_SECONDS, fallback="local")
    if wait > 0:
        raise RateLimited(f"Too many tries. Wait {round(wait) + 1} seconds.", retry_after=wait)


async def _first_membership(session: AsyncSession, user_id: UUID) -> Membership | None:
    """The app a person lands in: the one they joined first."""
    own = sa.select(Membership).where(Membership.user_id == user_id).order_by(Membership.created_at)
    return await session.scalar(own.limit(1))


async def authenticate(token: str) -> Principal:
    """Who holds this token, as `prove` says; and that their session is used now.

    Raises:
        Unauthenticated: nobody any more, or never.
    """
    principal, signed_in = await _proof(token)
    if signed_in and now() - signed_in.last_active_at > sessions.SEEN_EVERY:
        await _used.ask(signed_in.id)
    return principal


async def prove(token: str) -> Principal:
    """Who holds this token. Looks at the database each time, so that a revoked session ends at once.

    Those who ask at the same time, such as many websockets, are answered by one statement.

    Raises:
        Unauthenticated: nobody any more, or never.
    """
    principal, _ = await _proof(token)
    return principal


async def _proof(token: str) -> tuple[Principal, UserSession | None]:
    claims = security.read(token)
    expires_at = datetime.fromtimestamp(claims["exp"], UTC)
    if claims["aud"] == sessions.TEAM:
        return await _person(UUID(claims["sid"]), expires_at)
    return await _device(UUID(claims["app"]), UUID(claims["sub"]), expires_at), None


async def _person(session_id: UUID, expires_at: datetime) -> tuple[Principal, UserSession]:
    """The person of a live session, with the rights their role gives today."""
    proven = await _people.ask(session_id)
    if proven is None:
        raise Unauthenticated("The session has ended. Sign in again.")
    signed_in, role = proven
    principal = Principal(
        app_id=signed_in.app_id,
        permissions=ROLE_PERMISSIONS[role],
        expires_at=expires_at,
        user_id=signed_in.user_id,
        session_id=signed_in.id,
    )
    return principal, signed_in


async def _live_people(session_ids: list[UUID]) -> list[tuple[UserSession, Role] | None]:
    """Each session that is alive, with the role of its person."""
    same_person = sa.and_(Membership.app_id == UserSession.app_id, Membership.user_id == UserSession.user_id)
    alive = sa.select(UserSession, Membership.role).join(Membership, same_person)
    async with transaction() as session:
        rows = await session.execute(alive.where(UserSession.id.in_(session_ids), sessions.live(now())))
        found = {signed_in.id: (signed_in, role) for signed_in, role in rows}
    return [found.get(id_) for id_ in session_ids]


async def _device(app_id: UUID, device_id: UUID, expires_at: datetime) -> Principal:
    """A device that is still registered."""
    if not await _registered.ask((app_id, device_id)):
        raise Unauthenticated("This device is not registered any more. Register it again.")
    return Principal(app_id=app_id, permissions=DEVICE_PERMISSIONS, expires_at=expires_at, device_id=device_id)


async def _registered_devices(asked: list[tuple[UUID, UUID]]) -> list[bool]:
    async with transaction() as session:
        known = await devices.existing(session, asked)
    return [one in known for one in asked]


async def _note_use(session_ids: list[UUID]) -> list[None]:
    """Note that sessions are used, once a minute each."""
    async with transaction() as session:
        await sessions.touch(session, session_ids)
    return [None] * len(session_ids)


_people = Batcher(_live_people)
_used = Batcher(_note_use)
_registered = Batcher(_registered_devices)
