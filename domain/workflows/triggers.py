"""What lets contacts in: kinds of triggers, and the key by which each is found when something happens."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from core.errors import Invalid
from domain.events import NAME_MOST
from domain.segments import fields
from domain.segments.conditions import Condition, Field
from domain.workflows import configs
from domain.workflows.configs import Config, Reader, Reference, Shape, said
from domain.workflows.problems import Problem, ProblemCode
from domain.workflows.readers import COMPARISONS, CONDITION, CRON, TIME_ZONE, choice, reference, text
from models.channels import ChannelKind
from models.contacts import Contact
from models.workflows import TriggerKind

ANY = ""


@dataclass(frozen=True)
class Trigger(Config):
    """What all triggers can say."""

    conditions: Condition | None = said(
        "Whom it lets in: a condition on contacts; all, when left out.", CONDITION, None
    )


@dataclass(frozen=True)
class EventTracked(Trigger):
    """An event."""

    event_name: str = said("What the contact did.", text(NAME_MOST))
    properties: tuple[Field, ...] | None = said("What the event must have.", COMPARISONS, None)


@dataclass(frozen=True)
class MessageReceived(Trigger):
    """A message."""

    channel: ChannelKind | None = said("By which way; any, when left out.", choice(ChannelKind), None)


@dataclass(frozen=True)
class TagAdded(Trigger):
    """A tag."""

    tag: str | None = said("Which tag; any, when left out.", text(50), None)


def _attribute(value: object, at: str) -> str:
    name = value if isinstance(value, str) else ""
    if fields.spec(name, at).model is not Contact:
        raise Invalid(f"{at} must be a field of the contact, such as plan or attributes.<key>.", field=at)
    return name


@dataclass(frozen=True)
class AttributeChanged(Trigger):
    """A field."""

    field: str = said("A field of the contact, such as plan or attributes.<key>.", Reader(Shape.TEXT, _attribute))


@dataclass(frozen=True)
class SegmentEntered(Trigger):
    """A segment."""

    segment_id: UUID = said("The segment.", reference(Reference.SEGMENT))


@dataclass(frozen=True)
class Scheduled(Trigger):
    """A time that comes again and again."""

    cron: str = said("Five fields of cron, like 30 9 * * 1-5; every 5 minutes at most.", CRON)
    time_zone: str = said("Whose clocks it goes by; UTC, when left out.", TIME_ZONE, "UTC")
    segment_id: UUID | None = said(
        "Who is let in; everybody, when left out.", reference(Reference.SEGMENT), None, name="ofSegmentId"
    )


@dataclass(frozen=True)
class Manual(Trigger):
    """Somebody of the team, or the API."""


@dataclass(frozen=True)
class Kind:
    """A kind of trigger.

    Attributes:
        key: what exactly must happen; `ANY` when anything of the kind will do.
        brings: the variables that it brings into the run; a name with `.*` is an object.
    """

    name: TriggerKind
    config: type[Trigger]
    description: str
    key: Callable[[Any], str] = lambda _: ANY
    brings: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    kind.name.value: kind
    for kind in (
        Kind(
            TriggerKind.EVENT,
            EventTracked,
            "The contact did something.",
            lambda config: cast("str", config.event_name),
            ("event.name", "event.occurredAt", "event.properties.*"),
        ),
        Kind(
            TriggerKind.MESSAGE_RECEIVED,
            MessageReceived,
            "The contact wrote.",
            lambda config: config.channel.value if config.channel else ANY,
            ("message.body", "message.channel"),
        ),
        Kind(TriggerKind.TAG_ADDED, TagAdded, "The contact got a tag.", lambda config: config.tag or ANY),
        Kind(
            TriggerKind.ATTRIBUTE_CHANGED,
            AttributeChanged,
            "A field of the contact changed.",
            lambda config: cast("str", config.field),
        ),
        Kind(
            TriggerKind.SEGMENT_ENTERED,
            SegmentEntered,
            "The contact came into a segment.",
            lambda config: str(config.segment_id),
        ),
        Kind(TriggerKind.SCHEDULE, Scheduled, "A time has come, for all contacts of a segment."),
        Kind(
            TriggerKind.MANUAL,
            Manual,
            "Somebody of the team, or the API, lets a contact in.",
            brings=("event.properties.*",),
        ),
    )
}


def read(type_: str, json: dict[str, Any]) -> tuple[Trigger | None, list[Problem]]:
    """The trigger of a kind that `json` sets, and all that is wrong with it."""
    if type_ not in KINDS:
        message = f"There is no trigger {type_[:NAME_MOST]}; there are {', '.join(KINDS)}."
        return None, [Problem(ProblemCode.KIND_UNKNOWN, message, field="trigger.type")]
    return configs.read(KINDS[type_].config, json, "trigger")
