"""Accounts of an app at providers."""

from collections.abc import Sequence

import strawberry

from core.database import transaction
from core.ids import parse_id
from domain.channel_accounts import control, standing
from domain.permissions import Permission
from models.channel_accounts import ChannelAccount as ChannelAccountRow
from schema.channel_accounts import (
    ChannelAccount,
    ChannelAccountPayload,
    RemoveChannelAccountInput,
    SetChannelAccountInput,
)
from schema.context import Info
from schema.mutations import mutation
from schema.permissions import requires


@strawberry.type
class Query:
    """Read accounts."""

    @strawberry.field(
        description="The accounts at providers that the app has, one at each at most.",
        graphql_type=list[ChannelAccount] | None,
        extensions=requires(Permission.MANAGE_SETTINGS),
    )
    async def channel_accounts(self, info: Info) -> Sequence[ChannelAccountRow]:
        """All of them."""
        async with transaction() as session:
            return await standing.listed(session, info.context.asker().app_id)


@strawberry.type
class Mutation:
    """Set and remove accounts."""

    @mutation(
        Permission.MANAGE_SETTINGS,
        ChannelAccountPayload,
        "Have messages go through an account at a provider, instead of the one set before.",
    )
    async def set_channel_account(self, info: Info, input: SetChannelAccountInput) -> ChannelAccountRow:
        """Set."""
        async with transaction() as session:
            return await control.set_account(
                session,
                info.context.asker(),
                input.account.fields(),
                rate_per_second=input.rate_per_second,
                enabled=input.enabled,
            )

    @mutation(Permission.MANAGE_SETTINGS, ChannelAccountPayload, "Forget an account at a provider, with its secrets.")
    async def remove_channel_account(self, info: Info, input: RemoveChannelAccountInput) -> ChannelAccountRow:
        """Remove."""
        async with transaction() as session:
            return await control.remove(session, info.context.asker(), parse_id(input.id))
