"""Webhooks."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from time import monotonic
from typing import Annotated

import strawberry

from core.database import transaction
from core.ids import parse_id
from domain.features import Feature
from domain.pages import Page, PageRequest
from domain.permissions import Permission
from domain.webhooks import control, deliveries, standing, watching
from domain.webhooks.control import NewSecret
from models.webhooks import DeliveryStatus, WebhookEventType
from models.webhooks import Webhook as WebhookRow
from models.webhooks import WebhookDelivery as WebhookDeliveryRow
from schema.context import Info
from schema.mutations import mutation
from schema.pagination import After, Before, Connection, First, Last
from schema.permissions import requires
from schema.webhooks.inputs import (
    CreateWebhookInput,
    ReplayedWebhookDeliveriesPayload,
    ReplayFailedWebhookDeliveriesInput,
    ReplayWebhookDeliveriesInput,
    RotateWebhookSecretInput,
    TestWebhookInput,
    UpdateWebhookInput,
    WebhookDeliveriesPayload,
    WebhookDeliveryPayload,
    WebhookInput,
    WebhookPayload,
    WebhookSecretPayload,
)
from schema.webhooks.types import Webhook, WebhookDelivery, WebhookEventKind

WebhookId = Annotated[strawberry.ID, strawberry.argument(description="The webhook.")]
FEATURE = Feature.ZAPIER_WEBHOOKS
ANSWER_SECONDS = 6.0
LOOK_SECONDS = 0.1


@strawberry.type
class Query:
    """Read webhooks."""

    @strawberry.field(
        description="A webhook.", graphql_type=Webhook | None, extensions=requires(Permission.VIEW_WEBHOOKS)
    )
    async def webhook(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The webhook.")]
    ) -> WebhookRow:
        """One webhook."""
        async with transaction() as session:
            return await standing.get(session, info.context.asker().app_id, parse_id(id))

    @strawberry.field(
        description="The webhooks of the app, newest first.",
        graphql_type=Connection[Webhook] | None,
        extensions=requires(Permission.VIEW_WEBHOOKS),
    )
    async def webhooks(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Page[WebhookRow]:
        """A page of webhooks."""
        request = PageRequest(first, after, last, before)
        async with transaction() as session:
            return await standing.listed(session, info.context.asker().app_id, request)

    @strawberry.field(
        description="What webhooks can be told, with an example of each payload.",
        graphql_type=list[WebhookEventKind] | None,
        extensions=requires(Permission.VIEW_WEBHOOKS),
    )
    def webhook_event_types(self) -> list[WebhookEventType]:
        """All kinds."""
        return list(WebhookEventType)

    @strawberry.field(
        description="What became of one event.",
        graphql_type=WebhookDelivery | None,
        extensions=requires(Permission.VIEW_WEBHOOKS),
    )
    async def webhook_delivery(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The delivery.")]
    ) -> WebhookDeliveryRow:
        """One delivery."""
        async with transaction() as session:
            return await deliveries.get(session, info.context.asker().app_id, parse_id(id))

    @strawberry.field(
        description="What a webhook was told and what came of it, the newest event first.",
        graphql_type=Connection[WebhookDelivery] | None,
        extensions=requires(Permission.VIEW_WEBHOOKS),
    )
    async def webhook_deliveries(
        self,
        info: Info,
        webhook_id: WebhookId,
        statuses: Annotated[
            list[DeliveryStatus] | None, strawberry.argument(description="Only those that stand so.")
        ] = None,
        event_type: Annotated[
            WebhookEventType | None, strawberry.argument(description="Only those of this kind.")
        ] = None,
        since: Annotated[datetime | None, strawberry.argument(description="Only events from this instant on.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Page[WebhookDeliveryRow]:
        """A page of deliveries."""
        app_id, id_ = info.context.asker().app_id, parse_id(webhook_id, "webhookId")
        request = PageRequest(first, after, last, before)
        async with transaction() as session:
            return await deliveries.listed(
                session, app_id, id_, request, statuses=statuses, event_type=event_type, since=since
            )


@strawberry.type
class Mutation:
    """Change webhooks."""

    @mutation(
        Permission.MANAGE_WEBHOOKS,
        WebhookSecretPayload,
        "Have an address told what happens, from now on. An app has 50 webhooks at most.",
        feature=FEATURE,
    )
    async def create_webhook(self, info: Info, input: CreateWebhookInput) -> NewSecret:
        """Create."""
        async with transaction() as session:
            return await control.create(session, info.context.asker(), input.fields())

    @mutation(
        Permission.MANAGE_WEBHOOKS,
        WebhookPayload,
        "Change a webhook. What waits goes to the new address.",
        feature=FEATURE,
    )
    async def update_webhook(self, info: Info, input: UpdateWebhookInput) -> WebhookRow:
        """Change."""
        async with transaction() as session:
            return await control.update(session, info.context.asker(), parse_id(input.id), input.fields())

    @mutation(Permission.MANAGE_WEBHOOKS, WebhookPayload, "Delete a webhook. What waits is not sent any more.")
    async def delete_webhook(self, info: Info, input: WebhookInput) -> WebhookRow:
        """Delete."""
        async with transaction() as session:
            return await control.delete(session, info.context.asker(), parse_id(input.id))

    @mutation(
        Permission.MANAGE_WEBHOOKS,
        WebhookPayload,
        "Have a webhook told again what happens. What has waited goes first; what happened meanwhile is not told.",
        feature=FEATURE,
    )
    async def enable_webhook(self, info: Info, input: WebhookInput) -> WebhookRow:
        """Enable."""
        async with transaction() as session:
            return await control.enable(session, info.context.asker(), parse_id(input.id))

    @mutation(Permission.MANAGE_WEBHOOKS, WebhookPayload, "Tell a webhook nothing for a while. What waits is kept.")
    async def disable_webhook(self, info: Info, input: WebhookInput) -> WebhookRow:
        """Disable."""
        async with transaction() as session:
            return await control.disable(session, info.context.asker(), parse_id(input.id))

    @mutation(
        Permission.MANAGE_WEBHOOKS,
        WebhookSecretPayload,
        "Give a webhook another secret. For a while deliveries are signed with both, so that none is refused.",
        feature=FEATURE,
    )
    async def rotate_webhook_secret(self, info: Info, input: RotateWebhookSecretInput) -> NewSecret:
        """Rotate."""
        async with transaction() as session:
            return await control.rotate_secret(session, info.context.asker(), parse_id(input.id), input.overlap_hours)

    @mutation(
        Permission.MANAGE_WEBHOOKS,
        WebhookDeliveryPayload,
        "Send a webhook an example, once, also while it is disabled, and see what it answers.",
        feature=FEATURE,
    )
    async def test_webhook(self, info: Info, input: TestWebhookInput) -> WebhookDeliveryRow:
        """Try out."""
        asker = info.context.asker()
        async with transaction() as session:
            id_ = await deliveries.test(session, asker, parse_id(input.id), input.event_type)
        end = monotonic() + ANSWER_SECONDS
        while True:
            async with transaction() as session:
                row = await deliveries.get(session, asker.app_id, id_)
            if row.status is not DeliveryStatus.PENDING or monotonic() > end:
                return row
            await asyncio.sleep(LOOK_SECONDS)

    @mutation(
        Permission.MANAGE_WEBHOOKS,
        WebhookDeliveriesPayload,
        "Try deliveries again now, up to eight times, whatever became of them. Their ids stay.",
        feature=FEATURE,
    )
    async def replay_webhook_deliveries(
        self, info: Info, input: ReplayWebhookDeliveriesInput
    ) -> list[WebhookDeliveryRow]:
        """Try again."""
        ids = [parse_id(one, f"ids.{at}") for at, one in enumerate(input.ids)]
        async with transaction() as session:
            return await deliveries.replay(session, info.context.asker(), ids)

    @mutation(
        Permission.MANAGE_WEBHOOKS,
        ReplayedWebhookDeliveriesPayload,
        "Try again what has failed since an instant, the oldest first.",
        feature=FEATURE,
    )
    async def replay_failed_webhook_deliveries(self, info: Info, input: ReplayFailedWebhookDeliveriesInput) -> int:
        """Try again what failed."""
        id_ = parse_id(input.webhook_id, "webhookId")
        async with transaction() as session:
            return await deliveries.replay_failed(session, info.context.asker(), id_, input.since)


@strawberry.type
class Subscription:
    """Watch deliveries."""

    @strawberry.subscription(
        description="The newest delivery of a webhook at once, then each that is new, tried or replayed, as it is now."
        " What happens while you are away you read with `webhookDeliveries`.",
        graphql_type=WebhookDelivery,
        extensions=requires(Permission.VIEW_WEBHOOKS),
    )
    async def webhook_delivery_updated(
        self, info: Info, webhook_id: WebhookId
    ) -> AsyncGenerator[WebhookDeliveryRow, None]:
        """Each change."""
        app_id, id_ = info.context.asker().app_id, parse_id(webhook_id, "webhookId")
        async with aclosing(watching.follow(app_id, id_)) as rows:
            async for row in rows:
                yield row
