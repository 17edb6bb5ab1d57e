"""What people do with API keys: make, change, replace, revoke, hand over."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypedDict
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core import security
from core.clock import now
from core.errors import Conflict, Forbidden, Invalid
from core.ids import new_id
from domain import checks, facts, proofs
from domain.api_keys.standing import ApiKeyStatus, get, live, scopes_of, status
from domain.permissions import SCOPES, Permission
from domain.principals import Principal
from models.api_keys import ApiKey, ApiKeyMode
from models.apps import App
from models.facts import FactKind

NAME_MOST = 100
LIVE_AT_MOST = 50
LIFETIME_MOST = timedelta(days=36_525)
OVERLAP_HOURS = 24
OVERLAP_MOST = 168


class ApiKeyFields(TypedDict):
    """What a new key is."""

    name: str
    mode: ApiKeyMode
    scopes: Collection[Permission]
    expires_at: datetime | None


@dataclass(frozen=True)
class NewApiKey:
    """A key and the text by which a program signs in; the text is not kept and shown this once."""

    api_key: ApiKey
    secret: str = field(repr=False)


async def create(session: AsyncSession, principal: Principal, fields: ApiKeyFields) -> NewApiKey:
    """A new key of the app, of the person who asks.

    Raises:
        Forbidden: the asker is no person, or has not the rights that they would give away.
        Invalid: a field breaks its rule.
        Conflict: the app has 50 live keys already.
    """
    row = ApiKey(
        name=checks.text(fields["name"], "name", most=NAME_MOST),
        mode=fields["mode"],
        scopes=_scopes(principal, fields["scopes"]),
        expires_at=_end(fields["expires_at"]),
    )
    await _make_sure_of_room(session, principal.app_id)
    return await _add(session, principal, row)


def _end(expires_at: datetime | None) -> datetime | None:
    """When a new key ends; None when it does not."""
    if expires_at and not timedelta() < expires_at - now() <= LIFETIME_MOST:
        raise Invalid(
            "expiresAt must be in the future, in 100 years at the latest; or leave it out.", field="expiresAt"
        )
    return expires_at


async def _add(session: AsyncSession, principal: Principal, row: ApiKey) -> NewApiKey:
    """Keep a key that has everything but its secret."""
    secret = security.random_api_key(row.mode.value.lower())
    row.id, row.app_id, row.created_by_id = new_id(), principal.app_id, principal.person()
    row.prefix, row.secret_hash = security.shown_part(secret), security.token_hash(secret)
    session.add(row)
    facts.record(session, principal.author, FactKind.API_KEY_CREATED, row)
    await session.flush()
    return NewApiKey(row, secret)


def _scopes(principal: Principal, scopes: Collection[Permission]) -> list[str]:
    """The scopes as they are stored: each once, in the order of the permissions."""
    if not scopes:
        raise Invalid("A key needs at least one scope.", field="scopes")
    if beyond := sorted(set(scopes) - SCOPES):
        raise Invalid(f"No key can have {', '.join(beyond)}.", field="scopes")
    _refuse_more_than_own(principal, scopes)
    return [one.value for one in Permission if one in scopes]


def _refuse_more_than_own(principal: Principal, scopes: Collection[Permission]) -> None:
    """Nobody hands out a key that may more than they do."""
    if beyond := sorted(set(scopes) - principal.permissions):
        raise Forbidden(f"A key cannot have what you do not have yourself: {', '.join(beyond)}.")


async def _make_sure_of_room(session: AsyncSession, app_id: UUID, leaving: UUID | None = None) -> None:
    """Refuse one live key too many, `leaving` not counted. Those who make keys of an app queue on its row."""
    await session.execute(sa.select(App.id).where(App.id == app_id).with_for_update(key_share=True))
    others = sa.and_(ApiKey.app_id == app_id, live(now()), ApiKey.id.is_distinct_from(leaving))
    if (await session.scalar(sa.select(sa.func.count()).where(others)) or 0) >= LIVE_AT_MOST:
        raise Conflict(f"An app has {LIVE_AT_MOST} live API keys at most; revoke one that is not needed any more.")


async def update(
    session: AsyncSession,
    principal: Principal,
    key_id: UUID,
    *,
    name: str | None = None,
    scopes: Collection[Permission] | None = None,
) -> ApiKey:
    """Change the name or the scopes of a live key; None leaves as it is. Its open websockets close on other scopes.

    Raises:
        NotFound, Conflict: no such key, or it is revoked or has expired.
        Forbidden: the asker has not the rights that they would give away.
        Invalid: a field breaks its rule.
    """
    row = await _get_live(session, principal.app_id, key_id)
    if name is not None:
        row.name = checks.text(name, "name", most=NAME_MOST)
    if scopes is not None:
        row.scopes = _scopes(principal, scopes)
        proofs.outdated(session)
    facts.record(session, principal.author, FactKind.API_KEY_UPDATED, row)
    return row


async def _get_live(session: AsyncSession, app_id: UUID, key_id: UUID) -> ApiKey:
    """A key that works, locked."""
    row = await get(session, app_id, key_id, lock=True)
    if status(row) in {ApiKeyStatus.REVOKED, ApiKeyStatus.EXPIRED}:
        raise Conflict("The key is revoked or has expired; create a new one with createApiKey.", field="id")
    return row


async def regenerate(session: AsyncSession, principal: Principal, key_id: UUID, overlap_hours: int) -> NewApiKey:
    """A key that takes the place of another one, with its name, mode and scopes; one that expires lives as long again.

    Args:
        session: the transaction.
        principal: the person who asks.
        key_id: the key to replace.
        overlap_hours: how much longer it works, 0 to 168; not beyond its own end.

    Raises:
        NotFound, Conflict: no such key; or it is revoked, has expired or was replaced; or the app has 50 live keys.
        Forbidden: the asker is no person, or has not the rights of the key.
        Invalid: `overlap_hours` is out of range.
    """
    if not 0 <= overlap_hours <= OVERLAP_MOST:
        raise Invalid(f"overlapHours must be from 0 to {OVERLAP_MOST}.", field="overlapHours")
    await _make_sure_of_room(session, principal.app_id, leaving=None if overlap_hours else key_id)
    old = await _get_live(session, principal.app_id, key_id)
    if old.replaced_by_id:
        raise Conflict("The key was replaced already; regenerate the one that took its place.", field="id")
    _refuse_more_than_own(principal, scopes_of(old))
    lifetime = old.expires_at - old.created_at if old.expires_at else None
    following = ApiKey(
        name=old.name, mode=old.mode, scopes=list(old.scopes), expires_at=now() + lifetime if lifetime else None
    )
    made = await _add(session, principal, following)
    old.replaced_by_id = made.api_key.id
    end = now() + timedelta(hours=overlap_hours)
    old.expires_at = min(old.expires_at or end, end)
    proofs.outdated(session)
    facts.record(session, principal.author, FactKind.API_KEY_REPLACED, old)
    return made


async def revoke(session: AsyncSession, principal: Principal, key_id: UUID) -> ApiKey:
    """End a key at once; ending it twice is the same.

    Raises:
        NotFound: there is no such key.
    """
    row = await get(session, principal.app_id, key_id, lock=True)
    if row.revoked_at is None:
        row.revoked_at = now()
        proofs.outdated(session)
        facts.record(session, principal.author, FactKind.API_KEY_REVOKED, row)
    return row


async def hand_over(session: AsyncSession, principal: Principal, from_user_id: UUID, to_user_id: UUID) -> None:
    """Make the keys of the app that one person created those of another, as when the first leaves the team."""
    theirs = sa.and_(ApiKey.app_id == principal.app_id, ApiKey.created_by_id == from_user_id)
    found = sa.select(ApiKey).where(theirs).order_by(ApiKey.id).with_for_update(key_share=True)
    for row in await session.scalars(found):
        row.created_by_id = to_user_id
        facts.record(session, principal.author, FactKind.API_KEY_UPDATED, row)
