"""Reading broadcasts."""

from typing import Annotated

import strawberry

from core.database import transaction
from core.ids import parse_id
from domain.broadcasts import audience, drafts, queries
from domain.pages import Page, PageRequest
from domain.permissions import Permission
from models.broadcasts import Broadcast as BroadcastRow
from models.broadcasts import BroadcastRecipient as BroadcastRecipientRow
from models.broadcasts import BroadcastStatus, RecipientStatus
from schema.broadcasts.inputs import BroadcastTargetInput
from schema.broadcasts.types import AudiencePreview, Broadcast, BroadcastRecipient
from schema.context import Info
from schema.pagination import After, Before, Connection, First, Last
from schema.permissions import requires

BroadcastId = Annotated[strawberry.ID, strawberry.argument(description="The broadcast.")]
Status = Annotated[BroadcastStatus | None, strawberry.argument(description="Only those in this status.")]
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
            return await queries.recipients(session, broadcast, request, status)

    @strawberry.field(
        description="How many a target reaches at this moment.",
        graphql_type=AudiencePreview | None,
        extensions=requires(Permission.VIEW_BROADCASTS),
    )
    async def audience_preview(self, info: Info, target: Target) -> AudiencePreview:
        """Count a target."""
        app_id = info.context.asker().app_id
        async with transaction() as session:
            found = await drafts.resolve_target(session, app_id, target.target())
            contacts, devices = await audience.count(session, app_id, found["target_type"], found["contact_ids"])
        return AudiencePreview(contacts=contacts, devices=devices)
