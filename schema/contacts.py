"""Contacts and their devices."""

from collections.abc import Sequence
from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from models.contacts import Contact as ContactRow
from models.devices import Device as DeviceRow
from models.opt_outs import OptOut as OptOutRow
from schema.context import Info
from schema.devices import Device
from schema.mutations import Payload
from schema.opt_outs import OptOut
from schema.views import idempotency_field, plain, view


@view(ContactRow, description="An end user of the app.")
class Contact:
    """An end user."""

    id: strawberry.ID = plain("UUID.")
    external_id: str | None = plain("The app's own id of this user; unique within the app.")
    name: str = plain("As they call themselves; may be empty.")
    emails: list[str] = plain("Lower-cased; the first is the primary one.")
    phones: list[str] = plain("E.164; the first is the primary one.")
    locale: str | None = plain("Language tag, e.g. pt-BR.")
    time_zone: str | None = plain("IANA name, e.g. Europe/Berlin.")
    country: str | None = plain("ISO 3166 alpha-2, e.g. DE.")
    plan: str | None = plain("What they pay for, in the app's words.")
    tags: list[str] = plain("Marks set by the team.")
    attributes: JSON = plain("Anything else the app knows of them: an object.")
    created_at: datetime = plain("When they were created here.")
    updated_at: datetime = plain("When they were last changed here.")

    @strawberry.field(description="Where messages reach them: 50 at most.", graphql_type=list[Device])
    async def devices(row: strawberry.Parent[ContactRow], info: Info) -> Sequence[DeviceRow]:
        """The contact's devices, oldest first."""
        return await info.context.loaders.devices_of_contact.load(row.id)

    @strawberry.field(description="What they do not want to get: one for a channel at most.", graphql_type=list[OptOut])
    async def opt_outs(row: strawberry.Parent[ContactRow], info: Info) -> Sequence[OptOutRow]:
        """The contact's opt-outs, oldest first."""
        return await info.context.loaders.opt_outs_of_contact.load(row.id)


@strawberry.input
class ContactFieldsInput:
    """What can be said of a contact."""

    external_id: strawberry.Maybe[str | None] = plain("The app's own id of this user, to 200 characters.")
    name: strawberry.Maybe[str | None] = plain("To 200 characters.")
    emails: strawberry.Maybe[list[str] | None] = plain("20 at most; the first is the primary one.")
    phones: strawberry.Maybe[list[str] | None] = plain("20 at most; E.164, or national of `country`.")
    locale: strawberry.Maybe[str | None] = plain("Language tag, e.g. pt-BR.")
    time_zone: strawberry.Maybe[str | None] = plain("IANA name, e.g. Europe/Berlin.")
    country: strawberry.Maybe[str | None] = plain("ISO 3166 alpha-2, e.g. DE.")
    plan: strawberry.Maybe[str | None] = plain("To 100 characters.")
    tags: strawberry.Maybe[list[str] | None] = plain("50 at most, each to 50 characters.")
    attributes: strawberry.Maybe[JSON | None] = plain("An object, 16 KiB at most.")


@strawberry.input(description="A new contact. Everything may be left out.")
class CreateContactInput(ContactFieldsInput):
    """A new contact."""

    idempotency_key: str | None = idempotency_field()


@strawberry.input(description="Changes of a contact. What is left out stays; null clears.")
class UpdateContactInput(ContactFieldsInput):
    """Changes of a contact."""

    id: strawberry.ID = plain("The contact.")


@strawberry.input(description="Which contact to erase.")
class DeleteContactInput:
    """A contact."""

    id: strawberry.ID = plain("The contact.")


@strawberry.type(description="The contact made or changed.")
class ContactPayload(Payload):
    """A contact."""

    contact: Contact | None = plain("The contact.")


@strawberry.type(description="What was erased.")
class DeleteContactPayload(Payload):
    """The erased contact's id."""

    deleted_contact_id: strawberry.ID | None = plain("Its id.")
