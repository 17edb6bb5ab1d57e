"""End here."""

from dataclasses import dataclass

from domain.workflows.configs import Config, said
from domain.workflows.nodes.acts import Act, Ends
from domain.workflows.nodes.kind import NodeKind
from domain.workflows.readers import text


@dataclass(frozen=True)
class Exit(Config):
    """Why."""

    reason: str | None = said("Why, for those who look at the run.", text(200), None)


async def _acts(config: Exit, _act: Act) -> Ends:
    return Ends({"reason": config.reason} if config.reason else {})


KIND = NodeKind("exit", Exit, "Ends the run, on all its ways.", plain=False, acts=_acts)
