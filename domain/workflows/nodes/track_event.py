"""Note that the contact did something."""

from dataclasses import dataclass
from typing import Any

from domain.events import NAME_MOST
from domain.workflows.configs import Config, said
from domain.workflows.nodes.kind import NodeKind
from domain.workflows.readers import JSON, text


@dataclass(frozen=True)
class TrackEvent(Config):
    """What is noted."""

    event_name: str = said("What they did.", text(NAME_MOST))
    properties: dict[str, Any] | None = said("Its properties; texts may hold variables.", JSON, None)


KIND = NodeKind("track_event", TrackEvent, "Tracks an event of the contact.", outputs=("eventId",))
