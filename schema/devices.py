"""Devices."""

from datetime import datetime

import strawberry

from models.devices import Device as DeviceRow
from models.devices import Platform
from schema.mutations import Payload
from schema.views import described, idempotency_field, plain, view

described(
    Platform,
    "What kind of device.",
    IOS="An iPhone or iPad.",
    ANDROID="An Android phone or tablet.",
    WEB="A browser.",
    WHATSAPP="A WhatsApp number.",
)


@view(DeviceRow, description="A contact's phone, browser or WhatsApp number.")
class Device:
    """Where messages reach a contact."""

    id: strawberry.ID = plain("UUID.")
    platform: Platform = plain("What kind it is.")
    app_version: str | None = plain("Version of the app on it.")
    country: str | None = plain("ISO 3166 alpha-2.")
    last_seen_at: datetime | None = plain("When it last connected; null when it never did.")
    created_at: datetime = plain("When it was registered.")


@strawberry.input(description="A new device of a contact.")
class RegisterDeviceInput:
    """A new device."""

    contact_id: strawberry.ID = plain("Whose it is.")
    platform: Platform = plain("What kind it is.")
    push_token: str | None = strawberry.field(
        default=None,
        description="Token of FCM or APNs for pushes; of a browser, its subscription as JSON; to 4096 characters.",
    )
    app_version: str | None = strawberry.field(default=None, description="Version of the app on it.")
    idempotency_key: str | None = idempotency_field()


@strawberry.type(description="The new device and how it proves itself.")
class RegisterDevicePayload(Payload):
    """A device and its token."""

    device: Device | None = plain("The device.")
    token: str | None = plain("Its bearer token, shown this once. Give it to the device.")
