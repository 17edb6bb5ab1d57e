"""API keys as they stand: what they may do, whether they work, and the lists of them."""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain.lookups import own
from domain.pages import Page, PageRequest, page
from domain.permissions import SCOPES, Permission
from models.api_keys import ApiKey

SOON = timedelta(days=7)


class ApiKeyStatus(StrEnum):
    """Whether a key works, and whether it will go on working."""

    ACTIVE = "ACTIVE"
    EXPIRING = "EXPIRING"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"


def scopes_of(row: ApiKey) -> list[Permission]:
    """What a key may do. A permission that keys had once and may not have any more is left out."""
    return [one for one in Permission if one in SCOPES and one in row.scopes]


def status(row: ApiKey) -> ApiKeyStatus:
    """Where a key stands now."""
    if row.revoked_at:
        return ApiKeyStatus.REVOKED
    left = row.expires_at - now() if row.expires_at else SOON
    if left <= timedelta():
        return ApiKeyStatus.EXPIRED
    return ApiKeyStatus.EXPIRING if left < SOON or row.replaced_by_id else ApiKeyStatus.ACTIVE


def live(at: datetime) -> sa.ColumnElement[bool]:
    """The condition that a key is neither revoked nor expired."""
    return sa.and_(ApiKey.revoked_at.is_(None), sa.or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > at))


async def listed(
    session: AsyncSession, app_id: UUID, request: PageRequest, *, alive: bool | None = None
) -> Page[ApiKey]:
    """The keys of an app, newest first; only those that work, or only those that do not, when `alive` says so."""
    rows = sa.select(ApiKey).where(ApiKey.app_id == app_id)
    if alive is not None:
        rows = rows.where(live(now()) if alive else sa.not_(live(now())))
    return await page(session, rows, ApiKey.id, request, newest_first=True)


async def get(session: AsyncSession, app_id: UUID, key_id: UUID, *, lock: bool = False) -> ApiKey:
    """One key of the app.

    Raises:
        NotFound: it has no such key.
    """
    return await own(session, ApiKey, app_id, key_id, "API key", lock=lock)
