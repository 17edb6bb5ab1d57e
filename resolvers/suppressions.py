"""Suppressed addresses."""

from typing import Annotated
from uuid import UUID

import strawberry

from core.database import transaction
from domain import suppressions
from domain.pages import Page, PageRequest
from domain.permissions import Permission
from models.suppressions import Suppression as SuppressionRow
from schema.channels import ChannelKind
from schema.context import Info
from schema.mutations import mutation
from schema.pagination import After, Before, Connection, First, Last
from schema.permissions import requires
from schema.suppressions import (
    SuppressAddressInput,
    SuppressAddressPayload,
    Suppression,
    UnsuppressAddressInput,
    UnsuppressAddressPayload,
)


@strawberry.type
class Query:
    """Read suppressed addresses."""

    @strawberry.field(
        description="The addresses that are never written to, the newest first.",
        graphql_type=Connection[Suppression] | None,
        extensions=requires(Permission.VIEW_CONTACTS),
    )
    async def suppressions(
        self,
        info: Info,
        channel: Annotated[ChannelKind | None, strawberry.argument(description="Only those of this channel.")] = None,
        address: Annotated[
            str | None,
            strawberry.argument(description="Only this one, whole; it is found also when it is not kept any more."),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Page[SuppressionRow]:
        """A page of suppressions."""
        request, asker = PageRequest(first, after, last, before), info.context.asker()
        async with transaction() as session:
            return await suppressions.listed(session, asker.app_id, request, channel=channel, address=address)


@strawberry.type
class Mutation:
    """Change suppressed addresses."""

    @mutation(Permission.EDIT_CONTACTS, SuppressAddressPayload, "Have an address never written to, whoever has it.")
    async def suppress_address(self, info: Info, input: SuppressAddressInput) -> SuppressionRow:
        """Suppress."""
        asker = info.context.asker()
        async with transaction() as session:
            return await suppressions.suppress(
                session, asker.app_id, asker.author, input.channel, input.address, input.reason
            )

    @mutation(Permission.EDIT_CONTACTS, UnsuppressAddressPayload, "Let an address be written to again.")
    async def unsuppress_address(self, info: Info, input: UnsuppressAddressInput) -> UUID:
        """Let it be."""
        asker = info.context.asker()
        async with transaction() as session:
            row = await suppressions.unsuppress(session, asker.app_id, asker.author, input.channel, input.address)
        return row.id
