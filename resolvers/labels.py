"""Labels."""

from uuid import UUID

import strawberry

from core.database import transaction
from core.ids import parse_id
from domain import labels
from domain.labels import LabelFields
from domain.pages import Page, PageRequest
from domain.permissions import Permission
from models.conversations import Conversation as ConversationRow
from models.labels import Label as LabelRow
from schema.context import Info
from schema.conversations import ConversationPayload
from schema.labels import (
    ConversationLabelInput,
    CreateLabelInput,
    DeleteLabelInput,
    DeleteLabelPayload,
    Label,
    LabelPayload,
    UpdateLabelInput,
)
from schema.mutations import mutation
from schema.pagination import After, Before, Connection, First, Last
from schema.permissions import requires

EDIT = Permission.EDIT_LABELS


def _ids(input: ConversationLabelInput) -> tuple[UUID, UUID]:
    return parse_id(input.conversation_id, "conversationId"), parse_id(input.label_id, "labelId")


def _changes(input: UpdateLabelInput) -> LabelFields:
    """The fields that the client wrote."""
    changes = LabelFields()
    if input.name:
        changes["name"] = input.name.value
    if input.colour:
        changes["colour"] = input.colour.value
    return changes


@strawberry.type
class Query:
    """Read labels."""

    @strawberry.field(
        description="The labels of the app, oldest first.",
        graphql_type=Connection[Label] | None,
        extensions=requires(Permission.VIEW_CONVERSATIONS),
    )
    async def labels(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Page[LabelRow]:
        """A page of labels."""
        async with transaction() as session:
            return await labels.listed(session, info.context.asker().app_id, PageRequest(first, after, last, before))


@strawberry.type
class Mutation:
    """Make labels, put them on conversations, take them off."""

    @mutation(EDIT, LabelPayload, "Make a label.")
    async def create_label(self, info: Info, input: CreateLabelInput) -> LabelRow:
        """Make."""
        fields = LabelFields(name=input.name, colour=input.colour)
        async with transaction() as session:
            return await labels.create(session, info.context.asker(), fields, input.idempotency_key)

    @mutation(EDIT, LabelPayload, "Rename or recolour a label. The conversations that have it keep it.")
    async def update_label(self, info: Info, input: UpdateLabelInput) -> LabelRow:
        """Change."""
        async with transaction() as session:
            return await labels.update(session, info.context.asker(), parse_id(input.id), _changes(input))

    @mutation(EDIT, DeleteLabelPayload, "Delete a label; it goes from all conversations.")
    async def delete_label(self, info: Info, input: DeleteLabelInput) -> UUID:
        """Delete."""
        async with transaction() as session:
            return (await labels.delete(session, info.context.asker(), parse_id(input.id))).id

    @mutation(Permission.EDIT_CONVERSATIONS, ConversationPayload, "Put a label on a conversation. Repeatable.")
    async def add_conversation_label(self, info: Info, input: ConversationLabelInput) -> ConversationRow:
        """Put on."""
        async with transaction() as session:
            return await labels.put_on(session, info.context.asker(), *_ids(input))

    @mutation(Permission.EDIT_CONVERSATIONS, ConversationPayload, "Take a label off a conversation. Repeatable.")
    async def remove_conversation_label(self, info: Info, input: ConversationLabelInput) -> ConversationRow:
        """Take off."""
        async with transaction() as session:
            return await labels.take_off(session, info.context.asker(), *_ids(input))
