"""Opting contacts out and in. Opt-outs are read as `Contact.optOuts`."""

import strawberry

from core.database import transaction
from core.ids import parse_id
from domain import opt_outs
from domain.opt_outs import OptOutFields
from domain.permissions import Permission
from models.contacts import Contact as ContactRow
from schema.contacts import ContactPayload
from schema.context import Info
from schema.mutations import mutation
from schema.opt_outs import OptInContactInput, OptOutContactInput


@strawberry.type
class Mutation:
    """Change opt-outs."""

    @mutation(Permission.EDIT_CONTACTS, ContactPayload, "Write to a contact no more, by one channel or by all.")
    async def opt_out_contact(self, info: Info, input: OptOutContactInput) -> ContactRow:
        """Opt out."""
        asker = info.context.asker()
        fields = OptOutFields(
            contact_id=parse_id(input.contact_id, "contactId"),
            channel=input.channel,
            reason=input.reason,
            note=input.note,
        )
        async with transaction() as session:
            return await opt_outs.opt_out(session, asker.app_id, asker.author, fields)

    @mutation(Permission.EDIT_CONTACTS, ContactPayload, "Take back what a contact has opted out of.")
    async def opt_in_contact(self, info: Info, input: OptInContactInput) -> ContactRow:
        """Opt in."""
        asker, contact_id = info.context.asker(), parse_id(input.contact_id, "contactId")
        async with transaction() as session:
            return await opt_outs.opt_in(session, asker.app_id, asker.author, contact_id, input.channel)
