"""What ends a run before its last step: success, or that the contact is no longer whom it is for."""

from dataclasses import dataclass

from domain.events import NAME_MOST
from domain.segments.conditions import Condition, Field
from domain.segments.times import Duration
from domain.workflows.configs import Config, said
from domain.workflows.readers import COMPARISONS, CONDITION, DURATION, text


@dataclass(frozen=True)
class Goal(Config):
    """The event that counts as success."""

    event_name: str = said("What the contact does.", text(NAME_MOST))
    within: Duration | None = said("How long after they came in it still counts; ever, when left out.", DURATION, None)
    properties: tuple[Field, ...] | None = said("What the event must have.", COMPARISONS, None)


@dataclass(frozen=True)
class Exit(Config):
    """Who leaves."""

    conditions: Condition = said("A condition on contacts; who fits it before a step leaves.", CONDITION)
