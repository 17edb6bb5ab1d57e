"""Webhooks as they stand: found, listed, and what is kept closed opened."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.encryption import decrypt, encrypt
from core.errors import NotFound
from core.json import encode
from domain.lookups import own
from domain.pages import Page, PageRequest, page
from models.webhooks import Webhook, WebhookStop

NAME = "webhook"


class WebhookStatus(StrEnum):
    """Whether a webhook is told what happens."""

    ENABLED = "ENABLED"
    FAILING = "FAILING"
    DISABLED = "DISABLED"


def status(row: Webhook) -> WebhookStatus:
    """Where it stands."""
    if row.disabled_reason:
        return WebhookStatus.DISABLED
    return WebhookStatus.FAILING if row.failing_since else WebhookStatus.ENABLED


def stop(row: Webhook, why: WebhookStop, at: datetime) -> None:
    """Send nothing from now on. What waits is kept."""
    row.disabled_reason, row.disabled_at, row.paused_until = why, at, None


async def get(
    session: AsyncSession, app_id: UUID, webhook_id: UUID, *, lock: bool = False, field: str = "id"
) -> Webhook:
    """One webhook of the app; `field` is where its id came from.

    Raises:
        NotFound: it has no such webhook.
    """
    row = await own(session, Webhook, app_id, webhook_id, NAME, lock=lock, field=field)
    if row.deleted_at:
        raise NotFound(f"There is no such {NAME}.", field=field)
    return row


def _of(app_id: UUID) -> sa.ColumnElement[bool]:
    return sa.and_(Webhook.app_id == app_id, Webhook.deleted_at.is_(None))


async def listed(session: AsyncSession, app_id: UUID, request: PageRequest) -> Page[Webhook]:
    """The webhooks of an app, newest first."""
    return await page(session, sa.select(Webhook).where(_of(app_id)), Webhook.id, request, newest_first=True)


async def count(session: AsyncSession, app_id: UUID) -> int:
    """How many the app has."""
    return await session.scalar(sa.select(sa.func.count()).where(_of(app_id))) or 0


def close(row: Webhook, column: str, text: str) -> str:
    """`text` as it is kept in an encrypted column of the row.

    Raises:
        Unavailable: there is no key to encrypt with.
    """
    return encrypt(text, f"webhooks.{column}:{row.id}")


def secrets_of(row: Webhook) -> list[str]:
    """What deliveries are signed with now, the newest first.

    Raises:
        Unavailable: the key is not at hand.
    """
    live = [("secret", row.secret)]
    if row.previous_secret_expires_at and row.previous_secret_expires_at > now():
        live.append(("previous_secret", row.previous_secret))
    return [decrypt(closed, f"webhooks.{column}:{row.id}") for column, closed in live if closed]


def headers_of(row: Webhook) -> dict[str, str]:
    """The headers that go along.

    Raises:
        Unavailable: the key is not at hand.
    """
    found: dict[str, str] = orjson.loads(decrypt(row.headers, f"webhooks.headers:{row.id}")) if row.headers else {}
    return found


def set_headers(row: Webhook, headers: dict[str, str]) -> None:
    """Keep the headers that go along; the names can be shown.

    Raises:
        Unavailable: there is no key to encrypt with.
    """
    row.header_names = list(headers)
    row.headers = close(row, "headers", encode(headers).decode()) if headers else None
