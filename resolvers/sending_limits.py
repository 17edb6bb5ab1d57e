"""Changing when and how often an app writes to one contact. It is read as `App.sendingLimits`."""

import strawberry

from core.database import transaction
from domain import sending_limits
from domain.permissions import Permission
from models.apps import App as AppRow
from schema.context import Info
from schema.mutations import mutation
from schema.sending_limits import UpdateSendingLimitsInput, UpdateSendingLimitsPayload


@strawberry.type
class Mutation:
    """Change the limits."""

    @mutation(
        Permission.MANAGE_SETTINGS, UpdateSendingLimitsPayload, "Set quiet hours, frequency cap and zone of the app."
    )
    async def update_sending_limits(self, info: Info, input: UpdateSendingLimitsInput) -> AppRow:
        """Change."""
        async with transaction() as session:
            return await sending_limits.update(session, info.context.asker(), input.given())
