"""What people do with webhooks: make, change, enable, disable, delete them, and give them another secret."""

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.broker import wake
from core.clock import now
from core.database import on_commit
from core.errors import Conflict, Invalid
from core.ids import new_id
from domain import facts
from domain.principals import Principal
from domain.webhook_events.writing import DELIVERER
from domain.webhooks import fields, signing, standing
from domain.webhooks.fields import WebhookFields
from domain.webhooks.standing import get
from models.apps import App
from models.facts import FactKind
from models.webhooks import Webhook, WebhookStop

WEBHOOKS_MOST = 50
OVERLAP_HOURS = 24
OVERLAP_MOST = 168


@dataclass(frozen=True)
class NewSecret:
    """A webhook and the secret that its deliveries are signed with, which is shown this once."""

    webhook: Webhook
    secret: str = field(repr=False)


async def create(session: AsyncSession, principal: Principal, given: WebhookFields) -> NewSecret:
    """A new webhook, which is told what happens from now on.

    Raises:
        Invalid: a field breaks its rule.
        Conflict: the app has 50 webhooks already.
        Unavailable: there is no key to encrypt with.
    """
    await _make_sure_of_room(session, principal.app_id)
    row = Webhook(id=new_id(), app_id=principal.app_id, created_by_id=principal.user_id)
    _fill(row, given)
    secret = signing.new_secret()
    row.secret = standing.close(row, "secret", secret)
    session.add(row)
    facts.record(session, principal.author, FactKind.WEBHOOK_CREATED, row)
    await session.flush()
    return NewSecret(row, secret)


async def _make_sure_of_room(session: AsyncSession, app_id: UUID) -> None:
    """Refuse one too many. Those who make webhooks of an app queue on its row."""
    await session.execute(sa.select(App.id).where(App.id == app_id).with_for_update(key_share=True))
    if await standing.count(session, app_id) >= WEBHOOKS_MOST:
        raise Conflict(f"An app has {WEBHOOKS_MOST} webhooks at most; delete one that is not needed any more.")


def _fill(row: Webhook, given: WebhookFields) -> None:
    if "url" in given:
        row.url = fields.url(given["url"])
    if "description" in given:
        row.description = fields.description(given["description"])
    if "event_types" in given:
        row.event_types = fields.event_types(given["event_types"])
    if "headers" in given:
        standing.set_headers(row, fields.headers(given["headers"], standing.headers_of(row)))
    row.updated_at = now()


async def update(session: AsyncSession, principal: Principal, webhook_id: UUID, given: WebhookFields) -> Webhook:
    """Change the given fields. What waits goes to the new address, with the new headers.

    Raises:
        NotFound: no such webhook in this app.
        Invalid: a field breaks its rule.
        Unavailable: there is no key to encrypt with.
    """
    row = await get(session, principal.app_id, webhook_id, lock=True)
    before = row.url
    _fill(row, given)
    if row.url != before:
        _begin_anew(session, row)
    facts.record(session, principal.author, FactKind.WEBHOOK_UPDATED, row)
    await session.flush()
    return row


async def delete(session: AsyncSession, principal: Principal, webhook_id: UUID) -> Webhook:
    """Delete a webhook; nothing more is sent to it. Its secrets go now, its deliveries with their time.

    Raises:
        NotFound: no such webhook in this app.
    """
    row = await get(session, principal.app_id, webhook_id, lock=True)
    row.deleted_at = now()
    row.secret = row.previous_secret = row.previous_secret_expires_at = None
    standing.set_headers(row, {})
    facts.record(session, principal.author, FactKind.WEBHOOK_DELETED, row)
    await session.flush()
    return row


async def enable(session: AsyncSession, principal: Principal, webhook_id: UUID) -> Webhook:
    """Have a webhook told again what happens, beginning with what waits; twice is the same.

    Raises:
        NotFound: no such webhook in this app.
    """
    row = await get(session, principal.app_id, webhook_id, lock=True)
    if row.disabled_reason:
        row.disabled_reason = row.disabled_at = None
        row.updated_at = now()
        _begin_anew(session, row)
        facts.record(session, principal.author, FactKind.WEBHOOK_ENABLED, row)
    return row


def _begin_anew(session: AsyncSession, row: Webhook) -> None:
    """Nothing that has failed so far counts, and what waits goes now."""
    row.failing_since = row.paused_until = None
    row.failures = 0
    on_commit(session, lambda: wake(DELIVERER))


async def disable(session: AsyncSession, principal: Principal, webhook_id: UUID) -> Webhook:
    """Tell a webhook nothing until it is enabled again; what waits is kept. Twice is the same.

    Raises:
        NotFound: no such webhook in this app.
    """
    row = await get(session, principal.app_id, webhook_id, lock=True)
    if not row.disabled_reason:
        row.updated_at = now()
        standing.stop(row, WebhookStop.MANUAL, row.updated_at)
        facts.record(session, principal.author, FactKind.WEBHOOK_DISABLED, row, reason=WebhookStop.MANUAL)
    return row


async def rotate_secret(session: AsyncSession, principal: Principal, webhook_id: UUID, overlap_hours: int) -> NewSecret:
    """Another secret. For `overlap_hours`, 0 to 168, deliveries are signed with the one before, too.

    Raises:
        NotFound: no such webhook in this app.
        Invalid: `overlap_hours` is out of range.
        Unavailable: there is no key to encrypt with.
    """
    if not 0 <= overlap_hours <= OVERLAP_MOST:
        raise Invalid(f"overlapHours must be from 0 to {OVERLAP_MOST}.", field="overlapHours")
    row = await get(session, principal.app_id, webhook_id, lock=True)
    (before, *_), secret, at = standing.secrets_of(row), signing.new_secret(), now()
    row.previous_secret = standing.close(row, "previous_secret", before) if overlap_hours else None
    row.previous_secret_expires_at = at + timedelta(hours=overlap_hours) if overlap_hours else None
    row.secret, row.secret_rotated_at, row.updated_at = standing.close(row, "secret", secret), at, at
    facts.record(session, principal.author, FactKind.WEBHOOK_SECRET_ROTATED, row)
    await session.flush()
    return NewSecret(row, secret)
