"""Events: what contacts did."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from core.ids import parse_id
from domain.events import EventFields
from models.events import Event as EventRow
from schema.mutations import Payload
from schema.views import plain, view


@view(EventRow, description="Something that a contact did.")
class Event:
    """Something that a contact did."""

    id: strawberry.ID = plain("UUID.")
    contact_id: strawberry.ID = plain("Who did it.")
    name: str = plain("What they did, in the app's words.")
    properties: JSON = plain("What the app tells of it: an object.")
    occurred_at: datetime = plain("When it happened.")
    created_at: datetime = plain("When it was told.")


@strawberry.input
class EventFieldsInput:
    """An event as it is told."""

    contact_id: strawberry.ID | None = strawberry.field(
        default=None, description="Who did it. A device leaves contactId and userId out: it tells of its own contact."
    )
    user_id: str | None = strawberry.field(
        default=None, description="Who did it, by the app's own user id; instead of contactId."
    )
    name: str = plain("What they did, 1 to 100 characters, like order_placed. Segments compare it letter by letter.")
    properties: JSON | None = strawberry.field(default=None, description="An object, 8 KiB at most.")
    occurred_at: datetime | None = strawberry.field(
        default=None, description="When it happened, 5 minutes in the future at most; now when left out."
    )
    idempotency_key: str | None = strawberry.field(
        default=None,
        description="A text of your choice, to 200 characters. Told again with the same key, it is not kept again.",
    )

    def fields(self, place: str = "") -> EventFields:
        """The event as the rules take it; `place` is its path in the input."""
        return EventFields(
            contact_id=parse_id(self.contact_id, f"{place}contactId") if self.contact_id else None,
            user_id=self.user_id,
            name=self.name,
            properties=self.properties,  # type: ignore[typeddict-item]
            occurred_at=self.occurred_at,
            key=self.idempotency_key,
        )


@strawberry.input(description="An event to keep.")
class TrackEventInput(EventFieldsInput):
    """One event."""


@strawberry.input(description="One of several events to keep.")
class EventInput(EventFieldsInput):
    """One of several events."""


@strawberry.input(description="Events to keep, all or none.")
class TrackEventsInput:
    """Several events."""

    events: list[EventInput] = plain("1 to 1000, of whichever contacts.")


@strawberry.type(description="The event as it is kept.")
class TrackEventPayload(Payload):
    """An event."""

    event: Event | None = plain("The event; the one kept first, when its key was known.")


@strawberry.type(description="What came of the events.")
class TrackEventsPayload(Payload):
    """Counts."""

    tracked: int | None = plain("How many are new.")
    duplicates: int | None = plain("How many were passed over, as their key was known.")
