"""Webhooks to test with: what is due of them, moved in time, and read."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from core.clock import now
from core.database import transaction
from domain import contacts
from domain.contacts import ContactFields
from domain.webhooks import deliveries
from jobs import webhooks as sender
from models.contacts import Contact
from models.webhooks import Webhook, WebhookAttempt, WebhookDelivery
from tests.support import factories
from tests.support.factories import Team


async def quiet() -> None:
    """What other tests have left is due no more."""
    async with transaction() as session:
        due = sa.update(WebhookDelivery).where(WebhookDelivery.due_at.is_not(None))
        await session.execute(due.values(due_at=None, lease_until=None))


async def happens(team: Team, count: int = 1, **fields: Any) -> list[Contact]:
    """So many contacts are created, each in a transaction of its own."""
    made = []
    for _ in range(count):
        async with transaction() as session:
            given: ContactFields = {"name": "Ada"} | fields
            made.append(await contacts.create(session, factories.principal(team), given))
    return made


async def delivered() -> None:
    """All that is due is tried, once."""
    await sender.deliver_due()


async def replayed(team: Team, *ids: UUID) -> None:
    async with transaction() as session:
        await deliveries.replay(session, factories.principal(team), list(ids))


async def of(webhook: Webhook) -> list[WebhookDelivery]:
    """Its deliveries, oldest first."""
    async with transaction() as session:
        rows = sa.select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook.id)
        return list(await session.scalars(rows.order_by(WebhookDelivery.id)))


async def attempts(delivery: WebhookDelivery) -> list[WebhookAttempt]:
    """Its tries, oldest first."""
    async with transaction() as session:
        rows = sa.select(WebhookAttempt).where(WebhookAttempt.delivery_id == delivery.id)
        return list(await session.scalars(rows.order_by(WebhookAttempt.number)))


async def read(webhook: Webhook) -> Webhook:
    async with transaction() as session:
        return await session.get_one(Webhook, webhook.id)


async def put(webhook: Webhook, **values: Any) -> None:
    async with transaction() as session:
        await session.execute(sa.update(Webhook).where(Webhook.id == webhook.id).values(**values))


async def let_pass(webhook: Webhook) -> None:
    """The time until its deliveries are due, its breaker lets one through, and a dead worker's claim ends."""
    past = now() - timedelta(seconds=1)
    due = sa.update(WebhookDelivery).where(
        WebhookDelivery.webhook_id == webhook.id, WebhookDelivery.due_at.is_not(None)
    )
    async with transaction() as session:
        await session.execute(due.values(due_at=past, lease_until=None))
    await put(webhook, paused_until=None)
