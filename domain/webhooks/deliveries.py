"""Deliveries as people see them: listed, told again, and tried out."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.broker import wake
from core.clock import now
from core.database import on_commit
from core.errors import Conflict, Invalid, NotFound
from domain import facts
from domain.lookups import own
from domain.pages import Page, PageRequest, page
from domain.principals import Principal
from domain.webhook_events import writing
from domain.webhook_events.vocabulary import EVENTS
from domain.webhook_events.writing import DELIVERER, Addressed, Happened, told_of
from domain.webhooks import standing
from models.facts import FactKind
from models.webhooks import DeliveryStatus, Webhook, WebhookDelivery, WebhookEventType

IDS_MOST = 100
REPLAYED_MOST = 10_000


async def get(session: AsyncSession, app_id: UUID, delivery_id: UUID) -> WebhookDelivery:
    """One delivery of the app.

    Raises:
        NotFound: it has no such delivery, or the webhook is gone.
    """
    row = await own(session, WebhookDelivery, app_id, delivery_id, "delivery")
    await standing.get(session, app_id, row.webhook_id)
    return row


async def listed(  # noqa: PLR0913 - what is looked for
    session: AsyncSession,
    app_id: UUID,
    webhook_id: UUID,
    request: PageRequest,
    *,
    statuses: list[DeliveryStatus] | None = None,
    event_type: WebhookEventType | None = None,
    since: datetime | None = None,
) -> Page[WebhookDelivery]:
    """The deliveries to a webhook, newest first.

    Raises:
        NotFound: no such webhook in this app.
    """
    await standing.get(session, app_id, webhook_id, field="webhookId")
    rows = sa.select(WebhookDelivery).where(WebhookDelivery.app_id == app_id, WebhookDelivery.webhook_id == webhook_id)
    if statuses is not None:
        rows = rows.where(WebhookDelivery.status.in_(statuses))
    if event_type is not None:
        rows = rows.where(WebhookDelivery.event_type == event_type)
    if since is not None:
        rows = rows.where(_since(since))
    return await page(session, rows, WebhookDelivery.id, request, newest_first=True)


def _since(at: datetime) -> sa.ColumnElement[bool]:
    """Of the instant `at` or later. An id begins with its time, so the index by ids finds them."""
    earliest = max(int(at.timestamp() * 1000) - 1_000, 0)
    return sa.and_(WebhookDelivery.id >= UUID(int=earliest << 80), WebhookDelivery.created_at >= at)


def next_try(row: WebhookDelivery) -> datetime | None:
    """When it is tried again; None while a worker has it in hand, and when it is through."""
    return None if row.lease_until else row.due_at


async def named(session: AsyncSession, app_id: UUID, webhook_id: UUID, ids: list[UUID]) -> list[WebhookDelivery]:
    """Those deliveries of a webhook, oldest first."""
    own_ = sa.and_(WebhookDelivery.app_id == app_id, WebhookDelivery.webhook_id == webhook_id)
    rows = sa.select(WebhookDelivery).where(own_, WebhookDelivery.id.in_(ids)).order_by(WebhookDelivery.id)
    return list(await session.scalars(rows))


async def newest(session: AsyncSession, app_id: UUID, webhook_id: UUID) -> list[WebhookDelivery]:
    """The newest delivery of a webhook, if it has one.

    Raises:
        NotFound: no such webhook in this app.
    """
    return list((await listed(session, app_id, webhook_id, PageRequest(first=1))).rows)


async def replay(session: AsyncSession, principal: Principal, ids: list[UUID]) -> list[WebhookDelivery]:
    """Try deliveries again now, under the same ids and up to eight times; 1 to 100 of them, and no tests.

    Raises:
        Invalid: there are none or too many.
        NotFound: one is none of this app.
        Conflict: a webhook of theirs is disabled.
    """
    if not 1 <= len(ids) <= IDS_MOST:
        raise Invalid(f"Give 1 to {IDS_MOST} deliveries.", field="ids")
    real = WebhookDelivery.is_test.is_(False)
    own_ = sa.and_(WebhookDelivery.app_id == principal.app_id, WebhookDelivery.id.in_(ids), real)
    webhook_ids = set(await session.scalars(sa.select(WebhookDelivery.webhook_id).where(own_).distinct()))
    webhooks = [await _working(session, principal.app_id, id_, "ids") for id_ in sorted(webhook_ids)]
    rows = await _again(session, own_)
    if len(rows) != len(set(ids)):
        raise NotFound("One of the ids is no delivery of this app, or a test; send a new test instead.", field="ids")
    for webhook in webhooks:
        count = sum(row.webhook_id == webhook.id for row in rows)
        _record(session, principal, webhook, count)
    return rows


async def _working(session: AsyncSession, app_id: UUID, webhook_id: UUID, field: str) -> Webhook:
    webhook = await standing.get(session, app_id, webhook_id, field=field)
    if webhook.disabled_reason:
        raise Conflict("The webhook is disabled; enable it with enableWebhook first.", field=field)
    return webhook


async def replay_failed(session: AsyncSession, principal: Principal, webhook_id: UUID, since: datetime) -> int:
    """Try again what has failed since an instant, the oldest first, 10,000 at most; returns how many.

    Raises:
        NotFound: no such webhook in this app.
        Conflict: it is disabled.
    """
    webhook = await _working(session, principal.app_id, webhook_id, "webhookId")
    failed = sa.and_(
        WebhookDelivery.app_id == principal.app_id,
        WebhookDelivery.webhook_id == webhook.id,
        WebhookDelivery.status == DeliveryStatus.FAILED,
        WebhookDelivery.is_test.is_(False),
        _since(since),
    )
    oldest = sa.select(WebhookDelivery.id).where(failed).order_by(WebhookDelivery.id).limit(REPLAYED_MOST)
    rows = await _again(session, sa.and_(failed, WebhookDelivery.id.in_(oldest)))
    if rows:
        _record(session, principal, webhook, len(rows))
    return len(rows)


async def _again(session: AsyncSession, which: sa.ColumnElement[bool]) -> list[WebhookDelivery]:
    """Make them due. One that a worker has in hand goes on there: what comes of that counts."""
    free = sa.case((WebhookDelivery.lease_until.is_(None), now()), else_=WebhookDelivery.due_at)
    values: dict[str, Any] = {"status": DeliveryStatus.PENDING, "tries": 0, "due_at": free, "delivered_at": None}
    locked = sa.select(WebhookDelivery.id).where(which).order_by(WebhookDelivery.id).with_for_update()
    ids = list(await session.scalars(locked))
    again = sa.update(WebhookDelivery).where(WebhookDelivery.id.in_(ids)).values(**values).returning(WebhookDelivery)
    rows = list(await session.scalars(again.execution_options(synchronize_session=False, populate_existing=True)))
    told_of(session, [(row.webhook_id, row.id) for row in rows])
    on_commit(session, lambda: wake(DELIVERER))
    return rows


def _record(session: AsyncSession, principal: Principal, webhook: Webhook, count: int) -> None:
    shown = (None, {"count": count})
    facts.record(session, principal.author, FactKind.WEBHOOK_REPLAYED, webhook, change=shown, count=count)


async def test(
    session: AsyncSession, principal: Principal, webhook_id: UUID, event_type: WebhookEventType | None
) -> UUID:
    """Send the example of a kind of event, of the first that it is told unless one is named; the delivery's id.

    It is sent to a disabled webhook, too, and tried once.

    Raises:
        NotFound: no such webhook in this app.
    """
    webhook = await standing.get(session, principal.app_id, webhook_id)
    kind = event_type or WebhookEventType(webhook.event_types[0])
    told = EVENTS[kind].example
    happened = Happened(kind, principal.app_id, told.row.id, principal.actor, now())
    (id_,) = await writing.insert(session, [Addressed(happened, [webhook.id])], [told], is_test=True)
    facts.record(session, principal.author, FactKind.WEBHOOK_TESTED, webhook, deliveryId=str(id_))
    return id_
