"""The proof of a program that holds an API key."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from core import security
from core.batcher import Batcher
from core.clock import now
from core.database import transaction
from core.errors import Unauthenticated
from domain.api_keys.standing import live, scopes_of
from domain.features import Feature, switched_off
from domain.principals import Principal
from models.api_keys import ApiKey
from models.apps import App

USED_EVERY = timedelta(minutes=1)
NEVER = datetime.max.replace(tzinfo=UTC)
_Live = tuple[ApiKey, frozenset[Feature]]


async def authenticate(token: str) -> Principal:
    """Who holds this key, as `prove` says; and that it is used now, noted once a minute.

    Raises:
        Unauthenticated: nobody any more, or never.
    """
    row, off = await _proven(token)
    if row.last_used_at is None or now() - row.last_used_at > USED_EVERY:
        await _used.ask(row.id)
    return _principal(row, off)


async def prove(token: str) -> Principal:
    """Who holds this key. Looks at the database each time, so that a revoked key ends at once.

    A key of our form with a wrong checksum costs no statement. Keys from before that form are looked up as they are.

    Raises:
        Unauthenticated: nobody any more, or never.
    """
    return _principal(*await _proven(token))


async def _proven(token: str) -> _Live:
    is_possible = security.is_api_key(token) or not token.startswith(security.API_KEY_START)
    found = await _live.ask(security.token_hash(token)) if is_possible else None
    if found is None:
        raise Unauthenticated("The API key is wrong, expired or revoked. The owner of the app can create another.")
    return found


def _principal(row: ApiKey, off: frozenset[Feature]) -> Principal:
    return Principal(
        app_id=row.app_id,
        permissions=frozenset(scopes_of(row)),
        expires_at=row.expires_at or NEVER,
        api_key_id=row.id,
        switched_off=off,
    )


async def _live_keys(hashes: list[str]) -> list[_Live | None]:
    """The live key with each hash, and what is switched off in its app."""
    known = sa.select(ApiKey, App.features).join(App, App.id == ApiKey.app_id)
    async with transaction(across_apps=True) as session:
        rows = await session.execute(known.where(ApiKey.secret_hash.in_(hashes), live(now())))
        found = {row.secret_hash: (row, switched_off(features)) for row, features in rows}
    return [found.get(one) for one in hashes]


async def _note_use(key_ids: Sequence[UUID]) -> list[None]:
    """Note that keys are used now, unless that was noted a minute ago; one that somebody else locks is left out."""
    stale = sa.or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < now() - USED_EVERY)
    free = sa.select(ApiKey.id).where(ApiKey.id.in_(key_ids), stale).with_for_update(skip_locked=True, key_share=True)
    seen = sa.update(ApiKey).where(ApiKey.id.in_(free.scalar_subquery())).values(last_used_at=now())
    async with transaction(across_apps=True) as session:
        await session.execute(seen.execution_options(synchronize_session=False))
    return [None] * len(key_ids)


_live = Batcher(_live_keys)
_used = Batcher(_note_use)
