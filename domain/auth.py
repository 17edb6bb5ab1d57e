"""Who is there: the proof that comes with every request."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa

from core import security
from core.batcher import Batcher
from core.clock import now
from core.database import transaction
from core.errors import Unauthenticated
from domain import devices, proofs, sessions
from domain.api_keys import proof as api_keys
from domain.features import Feature, switched_off
from domain.permissions import DEVICE_PERMISSIONS, ENROLLING_PERMISSIONS, ROLE_PERMISSIONS
from domain.principals import Principal
from domain.two_factors.standing import requires
from models.apps import App
from models.sessions import UserSession
from models.team import Membership, Role
from models.two_factors import TwoFactor

TOKENS = {sessions.TEAM: ["sid"], devices.AUDIENCE: ["app"]}
"""Whom a token may be for who asks, and the claims that tell it."""


async def authenticate(token: str) -> Principal:
    """Who holds this token, proven within the last second (see `domain.proofs`); and that their session is used now.

    Raises:
        Unauthenticated: nobody any more, or never.
    """
    return await proofs.remembered.holder(token, _prove_used)


async def _prove_used(token: str) -> Principal:
    if not security.is_signed(token):
        return await api_keys.authenticate(token)
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
    if not security.is_signed(token):
        return await api_keys.prove(token)
    principal, _ = await _proof(token)
    return principal


async def _proof(token: str) -> tuple[Principal, UserSession | None]:
    claims = security.read(token, TOKENS)
    expires_at = datetime.fromtimestamp(claims["exp"], UTC)
    if claims["aud"] == sessions.TEAM:
        return await _person(UUID(claims["sid"]), expires_at)
    return await _device(UUID(claims["app"]), UUID(claims["sub"]), expires_at), None


async def _person(session_id: UUID, expires_at: datetime) -> tuple[Principal, UserSession]:
    """The person of a live session, with the rights their role gives today."""
    proven = await _people.ask(session_id)
    if proven is None:
        raise Unauthenticated("The session has ended. Sign in again.")
    principal = Principal(
        app_id=proven.session.app_id,
        permissions=ENROLLING_PERMISSIONS if proven.must_enrol else ROLE_PERMISSIONS[proven.role],
        expires_at=expires_at,
        user_id=proven.session.user_id,
        session_id=proven.session.id,
        must_enrol=proven.must_enrol,
        switched_off=proven.switched_off,
    )
    return principal, proven.session


@dataclass(frozen=True)
class _Person:
    """A live session, the role of its person, and whether that asks for a second factor which they have not.

    And what is switched off in their app.
    """

    session: UserSession
    role: Role
    must_enrol: bool
    switched_off: frozenset[Feature]


async def _live_people(session_ids: list[UUID]) -> list[_Person | None]:
    """Each session that is alive. One that began without the second factor which its person has by now is not."""
    same_person = sa.and_(Membership.app_id == UserSession.app_id, Membership.user_id == UserSession.user_id)
    has_factor = sa.and_(TwoFactor.user_id == UserSession.user_id, TwoFactor.confirmed_at.is_not(None))
    told = sa.select(UserSession, Membership.role, TwoFactor.confirmed_at, App.requires_two_factor, App.features)
    told = told.join(Membership, same_person).join(App, App.id == UserSession.app_id).outerjoin(TwoFactor, has_factor)
    proven = sa.or_(TwoFactor.confirmed_at.is_(None), UserSession.second_factor_at.is_not(None))
    async with transaction(across_apps=True) as session:
        rows = await session.execute(told.where(UserSession.id.in_(session_ids), sessions.live(now()), proven))
        found = {
            row.id: _Person(row, role, not confirmed and requires(required, role), switched_off(features))
            for row, role, confirmed, required, features in rows
        }
    return [found.get(id_) for id_ in session_ids]


async def _device(app_id: UUID, device_id: UUID, expires_at: datetime) -> Principal:
    """A device that is still registered."""
    if not await _registered.ask((app_id, device_id)):
        raise Unauthenticated("This device is not registered any more. Register it again.")
    return Principal(app_id=app_id, permissions=DEVICE_PERMISSIONS, expires_at=expires_at, device_id=device_id)


async def _registered_devices(asked: list[tuple[UUID, UUID]]) -> list[bool]:
    async with transaction(across_apps=True) as session:
        known = await devices.existing(session, asked)
    return [one in known for one in asked]


async def _note_use(session_ids: list[UUID]) -> list[None]:
    """Note that sessions are used, once in nine seconds each."""
    async with transaction(across_apps=True) as session:
        await sessions.touch(session, session_ids)
    return [None] * len(session_ids)


_people = Batcher(_live_people)
_used = Batcher(_note_use)
_registered = Batcher(_registered_devices)
