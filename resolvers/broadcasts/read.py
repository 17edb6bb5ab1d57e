"""Reading broadcasts."""

from typing import Annotated

import strawberry

from core.database import transaction
from core.ids import parse_id
from domain.broadcasts import analytics, explaining, queries, recipients, targets
from domain.broadcasts.analytics import Analytics
from domain.broadcasts.audience import Reach
from domain.broadcasts.explaining import Explanation
from domain.pages import Page, PageRequest
from domain.permissions import Permission
from models.broadcasts import Broadcast as BroadcastRow
from models.broadcasts import BroadcastRecipient as BroadcastRecipientRow
from models.broadcasts import BroadcastStatus, RecipientStatus
from models.channels import ChannelKind
from models.devices import Platform
from schema.broadcasts.analytics import BroadcastAnalytics, BroadcastExplanation
from schema.broadcasts.inputs import BroadcastTargetInput
from schema.broadcasts.types import AudiencePreview, Broadcast, BroadcastRecipient
from schema.context import Info
from schema.pagination import After, Before, Connection, First, Last
from schema.permissions import requires

BroadcastId = Annotated[strawberry.ID, strawberry.argument(description="The broadcast.")]
Status = Annotated[BroadcastStatus | None, strawberry.argument(description="Only those in this status.")]
Channels = Annotated[list[ChannelKind] | None, strawberry.argument(description="By which ways; IN_APP when left out.")]
Zone = Annotated[str, strawberry.argument(description="Of the hours: a name like Europe/Berlin.")]
Target = Annotated[BroadcastTargetInput, strawberry.argument(description="Whom it would be for.")]


@strawberry.type
class Query:
    """Read broadcasts."""

    @strawberry.field(
        description="A broadcast.", graphql_type=Broadcast | None, extensions=requires(Permission.VIEW_BROADCASTS)
    )
    async def broadcast(self, info: Info, id: BroadcastId) -> BroadcastRow:
        """One broadcast."""
        async with transaction() as session:
            return await queries.get(session, info.context.asker().app_id, parse_id(id))

    @strawberry.field(
        description="The broadcasts of the app, newest first.",
        graphql_type=Connection[Broadcast] | None,
        extensions=requires(Permission.VIEW_BROADCASTS),
    )
    async def broadcasts(
        self,
        info: Info,
        status: Status = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Page[BroadcastRow]:
        """A page of broadcasts."""
        request = PageRequest(first, after, last, before)
        async with transaction() as session:
            return await queries.listed(session, info.context.asker().app_id, request, status)

    @strawberry.field(
        description="Who a broadcast goes to, in the order of sending. Empty until the sending begins.",
        graphql_type=Connection[BroadcastRecipient] | None,
        extensions=requires(Permission.VIEW_BROADCASTS),
    )
    async def broadcast_recipients(
        self,
        info: Info,
        broadcast_id: BroadcastId,
        status: Annotated[RecipientStatus | None, strawberry.argument(description="Only those in this status.")] = None,
        code: Annotated[str | None, strawberry.argument(description="Only those with this `errorCode`.")] = None,
        platform: Annotated[Platform | None, strawberry.argument(description="Only those on this platform.")] = None,
        country: Annotated[
            str | None, strawberry.argument(description="Only those in this country, two letters.")
        ] = None,
        variant: Annotated[
            int | None, strawberry.argument(description="Only those that get the variant with this index.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Page[BroadcastRecipientRow]:
        """A page of recipients."""
        request = PageRequest(first, after, last, before)
        app_id, id_ = info.context.asker().app_id, parse_id(broadcast_id, "broadcastId")
        async with transaction() as session:
            broadcast = await queries.get(session, app_id, id_, field="broadcastId")
            wanted = recipients.Filter(status, code, platform, country, variant)
            return await recipients.listed(session, broadcast, request, wanted)

    @strawberry.field(
        description="How many a target reaches at this moment.",
        graphql_type=AudiencePreview | None,
        extensions=requires(Permission.VIEW_BROADCASTS),
    )
    async def audience_preview(self, info: Info, target: Target, channels: Channels = None) -> Reach:
        """Count a target."""
        app_id = info.context.asker().app_id
        async with transaction() as session:
            return await targets.preview(session, app_id, target.target(), channels)

    @strawberry.field(
        description="The numbers of a broadcast.",
        graphql_type=BroadcastAnalytics | None,
        extensions=requires(Permission.VIEW_BROADCASTS),
    )
    async def broadcast_analytics(self, info: Info, broadcast_id: BroadcastId, time_zone: Zone = "UTC") -> Analytics:
        """Numbers."""
        app_id, id_ = info.context.asker().app_id, parse_id(broadcast_id, "broadcastId")
        async with transaction() as session:
            return await analytics.read(session, app_id, id_, time_zone)

    @strawberry.field(
        description="Why a contact gets, or got, a broadcast or not; before it is sent and after.",
        graphql_type=BroadcastExplanation | None,
        extensions=requires(Permission.VIEW_BROADCASTS),
    )
    async def broadcast_explanation(
        self,
        info: Info,
        broadcast_id: BroadcastId,
        contact_id: Annotated[strawberry.ID, strawberry.argument(description="The contact.")],
    ) -> Explanation:
        """An answer."""
        app_id, id_ = info.context.asker().app_id, parse_id(broadcast_id, "broadcastId")
        async with transaction() as session:
            return await explaining.explain(session, app_id, id_, parse_id(contact_id, "contactId"))
