"""Segments: conditions on contacts, and who fits them."""

from datetime import datetime
from typing import Any

import strawberry
from strawberry.scalars import JSON

from domain.segments.conditions import Did
from domain.segments.fields import Operator
from domain.segments.previews import Preview as PreviewRow
from models.segments import Segment as SegmentRow
from models.team import AdminUser as AdminUserRow
from schema.auth import AdminUser
from schema.contacts import Contact
from schema.context import Info
from schema.mutations import Payload
from schema.views import described, idempotency_field, plain, view

described(
    Operator,
    "How a field is compared. A comparison with something absent is false, but for NEQ and NOT_IN, which are the"
    " opposites of EQ and IN.",
    EQ="Equal. Where there are several, such as tags, one of them is.",
    NEQ="Not equal, or absent. Where there are several, none is equal.",
    GT="Greater than a number, or later than an instant.",
    GTE="As GT, or equal.",
    LT="Less than a number, or earlier than an instant.",
    LTE="As LT, or equal.",
    IN="Equal to one of 1 to 1000 values.",
    NOT_IN="Equal to none of them, or absent.",
    CONTAINS="A text that has this part; tags, or an attribute that is a list, that have this entry.",
    STARTS_WITH="A text that begins so.",
    EXISTS="Whether there is anything; with the value false, whether there is nothing.",
    WITHIN_LAST="An instant no longer ago than a duration, and not in the future.",
)
described(
    Did,
    "What became of a broadcast at a contact.",
    RECEIVED="It was sent to them.",
    OPENED="They opened it.",
    CLICKED="They followed a link in it.",
)
_WITHIN = "How long ago at most: 3d, 2h, 30m, 45s, or ISO 8601 like P7D; ever, when left out."


@strawberry.input(description="A comparison of a field.")
class SegmentFieldInput:
    """A comparison."""

    field: str = plain(
        "name, externalId, emails, phones, locale, timeZone, country, plan, createdAt, tags; platform, appVersion,"
        " lastSeenAt of any of their devices; attributes.<key>, with up to 5 keys parted by dots."
    )
    operator: Operator = plain("One that suits the field.")
    value: JSON | None = strawberry.field(
        default=None,
        description="What to compare with. Instants are RFC 3339, a date, or relative like `now() - 7d`; a duration"
        " for WITHIN_LAST; a list for IN and NOT_IN; may be left out for EXISTS.",
    )

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        return {"field": self.field, "operator": self.operator.value, "value": self.value}


@strawberry.input(description="A comparison of a property of an event.")
class SegmentPropertyInput(SegmentFieldInput):
    """A comparison of a property."""

    field: str = plain("The key of a property, or up to 5 keys parted by dots.")


@strawberry.input(description="How often a contact did something.")
class SegmentEventInput:
    """A number of events."""

    name: str = plain("What they did.")
    operator: Operator = strawberry.field(default=Operator.GTE, description="EQ, NEQ, GT, GTE, LT or LTE.")
    count: int = strawberry.field(default=1, description="What the number of events is compared with, 0 to 10000.")
    within: str | None = strawberry.field(default=None, description=_WITHIN)
    properties: list[SegmentPropertyInput] = strawberry.field(
        default_factory=list, description="What each event that counts must have."
    )

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "operator": self.operator.value,
            "count": self.count,
            "within": self.within,
            "properties": [one.tree() for one in self.properties],
        }


@strawberry.input(description="What a contact did with a broadcast.")
class SegmentBroadcastInput:
    """A broadcast at a contact."""

    did: Did = plain("What became of it.")
    broadcast_id: strawberry.ID | None = strawberry.field(
        default=None, description="Which broadcast; any, when left out."
    )
    within: str | None = strawberry.field(default=None, description=_WITHIN)

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        return {"did": self.did.value, "broadcastId": self.broadcast_id, "within": self.within}


@strawberry.input(one_of=True, description="A condition on contacts: a tree of 8 levels and 100 conditions at most.")
class SegmentConditionInput:
    """A condition."""

    all: strawberry.Maybe[list["SegmentConditionInput"]] = plain("Every one of them holds; one at least.")
    any: strawberry.Maybe[list["SegmentConditionInput"]] = plain("At least one of them holds.")
    not_: strawberry.Maybe["SegmentConditionInput"] = strawberry.field(name="not", description="It does not hold.")
    field: strawberry.Maybe[SegmentFieldInput] = plain("A comparison of a field.")
    event: strawberry.Maybe[SegmentEventInput] = plain("How often they did something.")
    broadcast: strawberry.Maybe[SegmentBroadcastInput] = plain("What they did with a broadcast.")
    json: strawberry.Maybe[JSON] = plain(
        "The same as JSON, as `Segment.conditions` shows it; or flat, every one of which holds:"
        ' {"conditions": [{"field": "plan", "operator": "eq", "value": "free"}]}.'
    )

    def tree(self) -> dict[str, Any]:
        """As JSON, which `domain.segments.conditions.parse` reads; errors name places of this input."""
        (name, some), *_ = ((name, some) for name, some in vars(self).items() if some is not None)
        return {name.rstrip("_"): _tree(some.value)}


def _tree(value: Any) -> Any:
    if isinstance(value, list):
        return [one.tree() for one in value]
    return value.tree() if hasattr(value, "tree") else value


@strawberry.input(one_of=True, description="Whom to preview.")
class SegmentPreviewInput:
    """A saved condition, or one that is not saved yet."""

    segment_id: strawberry.Maybe[strawberry.ID] = plain("A segment.")
    conditions: strawberry.Maybe[SegmentConditionInput] = plain("A condition.")


@view(SegmentRow, description="A named choice among the contacts of the app. Who is in it is found anew each time.")
class Segment:
    """A saved condition."""

    id: strawberry.ID = plain("UUID.")
    name: str = plain("Unique in the app, whatever the case of its letters.")
    description: str | None = plain("What it is for.")
    conditions: JSON = plain("The tree of its conditions, as SegmentConditionInput.json takes it.")
    created_at: datetime = plain("When it was created.")
    updated_at: datetime = plain("When it was last changed.")

    @strawberry.field(
        description="Who created it; null when a program did, or they are gone.", graphql_type=AdminUser | None
    )
    async def created_by(row: strawberry.Parent[SegmentRow], info: Info) -> AdminUserRow | None:
        """The person."""
        return await info.context.loaders.user.load(row.created_by_id) if row.created_by_id else None


@view(PreviewRow, description="Who fits a condition at this moment.")
class SegmentPreview:
    """How many fit, and some of them."""

    count: int = plain("How many contacts fit.")
    sample: list[Contact] = plain("Some of them: 10 at most.")


@strawberry.input(description="A new segment.")
class CreateSegmentInput:
    """A new segment."""

    name: str = plain("1 to 100 characters, unique in the app whatever the case of its letters.")
    description: str | None = strawberry.field(default=None, description="What it is for; to 500 characters.")
    conditions: SegmentConditionInput = plain("Who is in it.")
    idempotency_key: str | None = idempotency_field()


@strawberry.input(description="Changes of a segment. What is left out stays.")
class UpdateSegmentInput:
    """Changes of a segment."""

    id: strawberry.ID = plain("The segment.")
    name: strawberry.Maybe[str] = plain("1 to 100 characters.")
    description: strawberry.Maybe[str | None] = plain("To 500 characters; null clears.")
    conditions: strawberry.Maybe[SegmentConditionInput] = plain("Who is in it.")


@strawberry.input(description="Which segment to delete.")
class DeleteSegmentInput:
    """A segment."""

    id: strawberry.ID = plain("The segment.")


@strawberry.type(description="The segment made or changed.")
class SegmentPayload(Payload):
    """A segment."""

    segment: Segment | None = plain("The segment.")


@strawberry.type(description="What was deleted.")
class DeleteSegmentPayload(Payload):
    """The deleted segment's id."""

    deleted_segment_id: strawberry.ID | None = plain("Its id.")
