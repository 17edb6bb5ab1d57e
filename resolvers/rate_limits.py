"""Changing the rate limits of an app. They are read as `App.rateLimits`."""

import strawberry

from core.database import transaction
from domain import rate_limits
from domain.permissions import Permission
from models.apps import App as AppRow
from schema.context import Info
from schema.mutations import mutation
from schema.rate_limits import UpdateRateLimitsInput, UpdateRateLimitsPayload


@strawberry.type
class Mutation:
    """Change rate limits."""

    @mutation(Permission.MANAGE_SETTINGS, UpdateRateLimitsPayload, "Give the app rate limits of its own.")
    async def update_rate_limits(self, info: Info, input: UpdateRateLimitsInput) -> AppRow:
        """Change."""
        async with transaction() as session:
            return await rate_limits.update(session, info.context.asker(), input.numbers())
