"""Wait for a while."""

from dataclasses import dataclass

from domain.segments.times import Duration
from domain.workflows.configs import Config, said
from domain.workflows.nodes.kind import NodeKind, Outcome, Scene
from domain.workflows.readers import DURATION


@dataclass(frozen=True)
class Wait(Config):
    """How long."""

    duration: Duration = said("How long: 3d, 2h, 30m, 45s or ISO 8601 like P7D; 365 days at most.", DURATION)


async def _tried(config: Wait, scene: Scene) -> Outcome:
    return Outcome(scene.at + config.duration.delta, f"It waits for {config.duration}.")


KIND = NodeKind("wait", Wait, "Waits for a while.", tried=_tried)
