"""Wait until the contact does something, or for so long."""

from dataclasses import dataclass

from domain.events import NAME_MOST
from domain.segments.conditions import Field
from domain.segments.times import Duration
from domain.workflows.configs import Config, said
from domain.workflows.nodes.acts import Act, Awaited, Done, Waits
from domain.workflows.nodes.kind import NodeKind, Outcome, Scene
from domain.workflows.readers import COMPARISONS, DURATION, text

RECEIVED, TIMEOUT = "received", "timeout"


@dataclass(frozen=True)
class WaitForEvent(Config):
    """For what, and how long."""

    event_name: str = said("What they must do.", text(NAME_MOST))
    timeout: Duration = said("How long to wait at most: 3d, 2h, 30m; 365 days at most.", DURATION)
    properties: tuple[Field, ...] | None = said("What the event must have.", COMPARISONS, None)


def _branches(_config: WaitForEvent) -> tuple[str, ...]:
    return (RECEIVED, TIMEOUT)


async def _tried(config: WaitForEvent, scene: Scene) -> Outcome:
    reason = f"It waits {config.timeout} for {config.event_name}, which is taken not to come."
    return Outcome(scene.at + config.timeout.delta, reason, TIMEOUT)


async def _acts(config: WaitForEvent, act: Act) -> Done | Waits:
    awaited = Awaited(config.event_name, config.properties or ())
    if (found := await act.happened(awaited)) is not None:
        return Done(RECEIVED, found)
    return Waits(act.at + config.timeout.delta, TIMEOUT, event=awaited)


KIND = NodeKind(
    "wait_for_event",
    WaitForEvent,
    "Waits until the contact does something: goes on by `received` then, by `timeout` when it takes too long.",
    branches=_branches,
    plain=False,
    outputs=("properties.*", "occurredAt"),
    tried=_tried,
    acts=_acts,
    locks_contact=True,
)
