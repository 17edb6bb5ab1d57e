"""Labels of conversations."""

from datetime import datetime

import strawberry

from models.labels import Label as LabelRow
from schema.context import Info
from schema.mutations import Payload
from schema.views import idempotency_field, plain, view


@view(LabelRow, description="A word by which the team sorts its conversations.")
class Label:
    """A label."""

    id: strawberry.ID = plain("UUID.")
    name: str = plain("Unique in the app, whatever the case of its letters.")
    colour: str = plain("#RRGGBB.")
    created_at: datetime = plain("When it was made.")
    updated_at: datetime = plain("When it was last changed.")

    @strawberry.field(description="OPEN conversations that have it; 1000 says that there are 1,000 or more.")
    async def open_count(row: strawberry.Parent[LabelRow], info: Info) -> int:
        """Count by the index, as far as a badge shows."""
        return await info.context.loaders.open_count_of_label.load(row.id)


@strawberry.input(description="A new label.")
class CreateLabelInput:
    """A new label."""

    name: str = plain("To 50 characters.")
    colour: str = plain("#RRGGBB.")
    idempotency_key: str | None = idempotency_field()


@strawberry.input(description="Changes of a label. What is left out stays; so do the conversations that have it.")
class UpdateLabelInput:
    """Changes of a label."""

    id: strawberry.ID = plain("The label.")
    name: strawberry.Maybe[str] = plain("To 50 characters.")
    colour: strawberry.Maybe[str] = plain("#RRGGBB.")


@strawberry.input(description="Which label to delete.")
class DeleteLabelInput:
    """A label."""

    id: strawberry.ID = plain("The label.")


@strawberry.input(description="A label and a conversation.")
class ConversationLabelInput:
    """A label and a conversation."""

    conversation_id: strawberry.ID = plain("The conversation.")
    label_id: strawberry.ID = plain("The label.")


@strawberry.type(description="The label made or changed.")
class LabelPayload(Payload):
    """A label."""

    label: Label | None = plain("The label.")


@strawberry.type(description="What was deleted.")
class DeleteLabelPayload(Payload):
    """The deleted label's id."""

    deleted_label_id: strawberry.ID | None = plain("Its id.")
