"""Contacts."""

from typing import Annotated, cast
from uuid import UUID

import strawberry

from core.database import transaction
from core.ids import parse_id
from domain import contacts
from domain.contacts import ContactFields
from domain.pages import Page, PageRequest
from domain.permissions import Permission
from models.contacts import Contact as ContactRow
from schema.contacts import (
    Contact,
    ContactFieldsInput,
    ContactPayload,
    CreateContactInput,
    DeleteContactInput,
    DeleteContactPayload,
    UpdateContactInput,
)
from schema.context import Info
from schema.mutations import mutation
from schema.pagination import After, Before, Connection, First, Last
from schema.permissions import requires

_FIELDS = ContactFields.__optional_keys__


def _given(input: ContactFieldsInput) -> ContactFields:
    """The fields that the client wrote, null ones among them."""
    written = {name: getattr(input, name) for name in _FIELDS}
    return cast("ContactFields", {name: some.value for name, some in written.items() if some is not None})


@strawberry.type
class Query:
    """Read contacts."""

    @strawberry.field(
        description="A contact.", graphql_type=Contact | None, extensions=requires(Permission.VIEW_CONTACTS)
    )
    async def contact(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The contact.")]
    ) -> ContactRow:
        """One contact."""
        async with transaction() as session:
            return await contacts.get(session, info.context.asker().app_id, parse_id(id))

    @strawberry.field(
        description="The contacts of the app, oldest first.",
        graphql_type=Connection[Contact] | None,
        extensions=requires(Permission.VIEW_CONTACTS),
    )
    async def contacts(
        self,
        info: Info,
        search: Annotated[
            str | None, strawberry.argument(description="Part of a name, external id, e-mail or phone.")
        ] = None,
        tag: Annotated[str | None, strawberry.argument(description="Only those with this tag.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Page[ContactRow]:
        """A page of contacts."""
        request = PageRequest(first, after, last, before)
        # behind the wall PostgreSQL searches without its indexes (docs/decisions/0007)
        async with transaction(across_apps=bool(search or tag)) as session:
            return await contacts.listed(session, info.context.asker().app_id, request, search=search, tag=tag)


@strawberry.type
class Mutation:
    """Change contacts."""

    @mutation(Permission.EDIT_CONTACTS, ContactPayload, "Create a contact.")
    async def create_contact(self, info: Info, input: CreateContactInput) -> ContactRow:
        """Create."""
        async with transaction() as session:
            return await contacts.create(session, info.context.asker(), _given(input), input.idempotency_key)

    @mutation(Permission.EDIT_CONTACTS, ContactPayload, "Change the given fields of a contact.")
    async def update_contact(self, info: Info, input: UpdateContactInput) -> ContactRow:
        """Change."""
        async with transaction() as session:
            return await contacts.update(session, info.context.asker(), parse_id(input.id), _given(input))

    @mutation(
        Permission.DELETE_CONTACTS, DeleteContactPayload, "Erase a contact with their devices and messages, for good."
    )
    async def delete_contact(self, info: Info, input: DeleteContactInput) -> UUID:
        """Erase."""
        async with transaction() as session:
            return (await contacts.delete(session, info.context.asker(), parse_id(input.id))).id
