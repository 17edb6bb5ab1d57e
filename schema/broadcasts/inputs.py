"""What broadcast mutations take and give."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from core.ids import parse_id
from domain.broadcasts.drafts import Target
from models.broadcasts import TargetType
from schema.broadcasts.types import Broadcast
from schema.mutations import Payload
from schema.views import idempotency_field, plain


def _ids(description: str) -> list[strawberry.ID]:
    made: list[strawberry.ID] = strawberry.field(default_factory=list, description=description)
    return made


@strawberry.input(description="Whom a broadcast is for.")
class BroadcastTargetInput:
    """A target."""

    target_type: TargetType = plain("ALL_USERS, or SPECIFIC_USERS with contactIds and userIds, 1000 together at most.")
    contact_ids: list[strawberry.ID] = _ids("Contacts by their id.")
    user_ids: list[str] = strawberry.field(default_factory=list, description="Contacts by the app's own user id.")

    def target(self) -> Target:
        """The target as the rules take it."""
        ids = [parse_id(one, f"target.contactIds.{at}") for at, one in enumerate(self.contact_ids)]
        return Target(target_type=self.target_type, contact_ids=ids, user_ids=self.user_ids)


@strawberry.input(description="A new draft.")
class CreateBroadcastInput:
    """A new draft."""

    title: str = plain("1 to 200 characters.")
    body: str = plain("1 to 10000 characters.")
    data: JSON | None = strawberry.field(default=None, description="An object, 4 KiB at most.")
    target: BroadcastTargetInput = plain("Whom it is for.")
    idempotency_key: str | None = idempotency_field()


@strawberry.input(description="Changes of a broadcast that has not started. What is left out stays.")
class UpdateBroadcastInput:
    """Changes."""

    id: strawberry.ID = plain("The broadcast.")
    title: strawberry.Maybe[str] = plain("1 to 200 characters.")
    body: strawberry.Maybe[str] = plain("1 to 10000 characters.")
    data: strawberry.Maybe[JSON | None] = plain("An object, 4 KiB at most; null clears.")
    target: strawberry.Maybe[BroadcastTargetInput] = plain("Whom it is for.")


@strawberry.input(description="Which broadcast.")
class BroadcastInput:
    """A broadcast."""

    id: strawberry.ID = plain("The broadcast.")


@strawberry.input(description="Which broadcast to send.")
class SendBroadcastInput(BroadcastInput):
    """A broadcast to send."""

    idempotency_key: str | None = idempotency_field()


@strawberry.input(description="Which broadcast to copy.")
class DuplicateBroadcastInput(BroadcastInput):
    """A broadcast to copy."""

    idempotency_key: str | None = idempotency_field()


@strawberry.input(description="When a broadcast starts by itself.")
class ScheduleBroadcastInput(BroadcastInput):
    """An instant."""

    scheduled_at: datetime = plain("An instant in the future.")


@strawberry.input(description="Who gets the test.")
class SendTestBroadcastInput(BroadcastInput):
    """A few contacts."""

    contact_ids: list[strawberry.ID] = plain("1 to 20 contacts.")
    idempotency_key: str | None = idempotency_field()


@strawberry.type(description="The broadcast made or changed.")
class BroadcastPayload(Payload):
    """A broadcast."""

    broadcast: Broadcast | None = plain("The broadcast.")


@strawberry.type(description="What was deleted.")
class DeleteBroadcastPayload(Payload):
    """The deleted draft's id."""

    deleted_broadcast_id: strawberry.ID | None = plain("Its id.")


@strawberry.type(description="Where the test went.")
class SendTestBroadcastPayload(Payload):
    """A count."""

    device_count: int | None = plain("Devices it was sent to.")
