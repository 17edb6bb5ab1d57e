"""Note that the contact did something."""

from dataclasses import dataclass
from typing import Any

from domain import events
from domain.events import NAME_MOST, EventFields
from domain.workflows.configs import Config, said
from domain.workflows.nodes.acts import Act, Done
from domain.workflows.nodes.kind import NodeKind
from domain.workflows.readers import JSON, text


@dataclass(frozen=True)
class TrackEvent(Config):
    """What is noted."""

    event_name: str = said("What they did.", text(NAME_MOST))
    properties: dict[str, Any] | None = said("Its properties; texts may hold variables.", JSON, None)


async def _acts(config: TrackEvent, act: Act) -> Done:
    told = EventFields(
        contact_id=act.contact_id,
        user_id=None,
        name=config.event_name,
        properties=act.filled(config.properties),
        occurred_at=act.at,
        key=f"step:{act.step.id}",
    )
    event = await events.track(act.session, act.principal, told)
    return Done(output={"eventId": str(event.id)})


KIND = NodeKind("track_event", TrackEvent, "Tracks an event of the contact.", outputs=("eventId",), acts=_acts)
