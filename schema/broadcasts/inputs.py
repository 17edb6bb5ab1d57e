"""What broadcast mutations take and give."""

import dataclasses
from datetime import datetime
from typing import cast

import strawberry
from strawberry.scalars import JSON

from core.ids import parse_id, parse_optional_id
from domain.broadcasts.options import Goal, Options, Variant
from domain.broadcasts.starting import Schedule
from domain.broadcasts.targets import Target, target
from models.broadcasts import QuietPolicy, Redo, TargetType, WinnerMetric
from models.channels import ChannelKind
from schema.broadcasts.types import Broadcast
from schema.mutations import Payload
from schema.scalars import LocalDateTime
from schema.views import described, idempotency_field, optional, plain

described(
    Redo,
    "Which recipients are tried again, and how.",
    FAILED="Those that failed are sent again.",
    UNCERTAIN="Those that are uncertain are sent again; some may get it twice.",
    UNCERTAIN_AS_SENT="Those that are uncertain count as sent.",
)


def _ids(description: str) -> list[strawberry.ID]:
    made: list[strawberry.ID] = strawberry.field(default_factory=list, description=description)
    return made


@strawberry.input(description="Whom a broadcast is for.")
class BroadcastTargetInput:
    """A target."""

    target_type: TargetType = plain(
        "ALL_USERS; SPECIFIC_USERS with contactIds and userIds, 1000 together at most; SEGMENT with segmentId or"
        " segmentQuery."
    )
    contact_ids: list[strawberry.ID] = _ids("Contacts by their id.")
    user_ids: list[str] = strawberry.field(default_factory=list, description="Contacts by the app's own user id.")
    segment_id: strawberry.ID | None = optional("A saved segment, as it is when the sending begins.")
    segment_query: JSON | None = optional('Conditions, e.g. {"conditions": [{"field", "operator", "value"}]}.')
    exclude_segment_id: strawberry.ID | None = optional("A saved segment that is left out of any target.")
    exclude_query: JSON | None = optional("Conditions of those that are left out of any target.")

    def target(self) -> Target:
        """The target as the rules take it."""
        return target(
            self.target_type,
            contact_ids=[parse_id(one, f"target.contactIds.{at}") for at, one in enumerate(self.contact_ids)],
            user_ids=self.user_ids,
            segment_id=parse_optional_id(self.segment_id, "target.segmentId"),
            segment_query=self.segment_query,
            exclude_segment_id=parse_optional_id(self.exclude_segment_id, "target.excludeSegmentId"),
            exclude_query=self.exclude_query,
        )


@strawberry.input(description="One of 2 to 8 texts that are compared.")
class BroadcastVariantInput:
    """A variant."""

    name: str = plain("1 to 50 characters.")
    title: str = plain("1 to 200 characters.")
    body: str = plain("1 to 10000 characters.")
    weight: int = strawberry.field(default=1, description="Its share among all, 1 to 1000.")

    def variant(self) -> Variant:
        """The variant as the rules take it."""
        return Variant(self.name, self.title, self.body, self.weight)


@strawberry.input(description="The event that counts as success.")
class BroadcastGoalInput:
    """A goal."""

    event_name: str = plain("What the contact does: the name of an event, 1 to 100 characters.")
    within_hours: int = plain("For how many hours after it was sent to them it counts: 1 to 720.")

    def goal(self) -> Goal:
        """The goal as the rules take it."""
        return Goal(self.event_name, self.within_hours)


@strawberry.input(description="How a broadcast is sent. What is left out stays, or is as the description says.")
class BroadcastOptionsInput:
    """Options."""

    channels: strawberry.Maybe[list[ChannelKind]] = plain("By which ways, the preferred one first; at first IN_APP.")
    speed: strawberry.Maybe[int | None] = plain("Recipients a second at most; null, as at first, is no limit.")
    quiet_policy: strawberry.Maybe[QuietPolicy] = plain("What quiet hours do to recipients; at first DEFER.")
    ignores_cap: strawberry.Maybe[bool] = plain("Go out beyond the app's frequency cap; at first false.")
    variants: strawberry.Maybe[list[BroadcastVariantInput]] = plain("2 to 8 texts to compare, or none.")
    test_share: strawberry.Maybe[int] = plain(
        "Per cent that get a variant at first; the rest gets the winner. At first 100."
    )
    winner_metric: strawberry.Maybe[WinnerMetric] = plain("By what the winner is chosen; at first OPENED.")
    winner_after_minutes: strawberry.Maybe[int] = plain("How long after the start it is chosen; at first 60.")
    goal: strawberry.Maybe[BroadcastGoalInput | None] = plain(
        "The event that counts as success; null, as at first, is none."
    )

    def options(self) -> Options:
        """The options that the client wrote, as the rules take them."""
        names = (field.name for field in dataclasses.fields(self))
        written = {name: some.value for name in names if (some := getattr(self, name)) is not None}
        if "variants" in written:
            written["variants"] = [one.variant() for one in written["variants"]]
        if written.get("goal"):
            written["goal"] = written["goal"].goal()
        return cast("Options", written)


@strawberry.input(description="A new draft.")
class CreateBroadcastInput:
    """A new draft."""

    title: str = plain('1 to 200 characters, with variables like {{ contact.name | default: "there" }}.')
    body: str = plain("1 to 10000 characters, with variables.")
    data: JSON | None = strawberry.field(default=None, description="An object, 4 KiB at most.")
    target: BroadcastTargetInput = plain("Whom it is for.")
    options: BroadcastOptionsInput | None = optional("How it is sent.")
    idempotency_key: str | None = idempotency_field()


@strawberry.input(description="Changes of a broadcast that has not started. What is left out stays.")
class UpdateBroadcastInput:
    """Changes."""

    id: strawberry.ID = plain("The broadcast.")
    title: strawberry.Maybe[str] = plain("1 to 200 characters.")
    body: strawberry.Maybe[str] = plain("1 to 10000 characters.")
    data: strawberry.Maybe[JSON | None] = plain("An object, 4 KiB at most; null clears.")
    target: strawberry.Maybe[BroadcastTargetInput] = plain("Whom it is for.")
    options: strawberry.Maybe[BroadcastOptionsInput] = plain("How it is sent.")


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


@strawberry.input(description="When a broadcast starts by itself: just one of scheduledAt, localAt and cron.")
class ScheduleBroadcastInput(BroadcastInput):
    """A time."""

    scheduled_at: datetime | None = optional("An instant in the future.")
    local_at: LocalDateTime | None = optional(
        "A time at which each recipient gets it in their own time zone. Where the clocks skip it, at the first minute"
        " after; where they show it twice, the first time. Where it has passed, at once."
    )
    cron: str | None = optional("Again and again: minute, hour, day, month, weekday, as in `0 9 * * 1`.")
    time_zone: str = strawberry.field(
        default="UTC", description="Of recipients who have none, and of `cron`: a name like Europe/Berlin."
    )

    def schedule(self) -> Schedule:
        """The time as the rules take it."""
        return Schedule(
            scheduled_at=self.scheduled_at, local_at=self.local_at, cron=self.cron, time_zone=self.time_zone
        )


@strawberry.input(description="Which recipients of a broadcast are tried again.")
class RetryBroadcastInput(BroadcastInput):
    """What to do again."""

    what: Redo = plain("Which recipients, and what becomes of them.")


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
