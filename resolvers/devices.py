"""Devices."""

import strawberry

from core.database import transaction
from core.ids import parse_id
from domain import devices
from domain.devices import DeviceFields, Registered
from domain.permissions import Permission
from schema.context import Info
from schema.devices import RegisterDeviceInput, RegisterDevicePayload
from schema.mutations import mutation


@strawberry.type
class Mutation:
    """Register devices."""

    @mutation(Permission.MANAGE_DEVICES, RegisterDevicePayload, "Register a device of a contact.")
    async def register_device(self, info: Info, input: RegisterDeviceInput) -> Registered:
        """Register."""
        fields = DeviceFields(
            contact_id=parse_id(input.contact_id, "contactId"),
            platform=input.platform,
            push_token=input.push_token,
            app_version=input.app_version,
        )
        async with transaction() as session:
            return await devices.register(session, info.context.asker(), fields, input.idempotency_key)
