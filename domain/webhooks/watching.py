"""Watching the deliveries of a webhook."""

from collections.abc import AsyncGenerator, Sequence
from uuid import UUID

from core.database import transaction
from core.pubsub import GAP, Gap, Tick, hub
from domain.webhook_events.writing import topic
from domain.webhooks import deliveries
from models.webhooks import WebhookDelivery


async def follow(app_id: UUID, webhook_id: UUID) -> AsyncGenerator[WebhookDelivery, None]:
    """The newest delivery, then each that has changed, as it is then; after a gap the newest again.

    Raises:
        NotFound: no such webhook in this app.
    """
    async with hub().subscribe(topic(webhook_id)) as ticks:
        for row in await _newest(app_id, webhook_id):
            yield row
        async for first in ticks:
            for row in await _changed(app_id, webhook_id, [first, *ticks.drain()]):
                yield row


async def _newest(app_id: UUID, webhook_id: UUID) -> list[WebhookDelivery]:
    async with transaction() as session:
        return await deliveries.newest(session, app_id, webhook_id)


async def _changed(app_id: UUID, webhook_id: UUID, ticks: Sequence[Tick | Gap]) -> list[WebhookDelivery]:
    if GAP in ticks:
        return await _newest(app_id, webhook_id)
    ids: set[UUID] = set()
    for tick in ticks:
        named = tick.data.get("ids") if isinstance(tick, Tick) else None
        ids |= {UUID(str(one)) for one in named} if isinstance(named, list) else set()
    async with transaction() as session:
        return await deliveries.named(session, app_id, webhook_id, sorted(ids))
