"""End here."""

from dataclasses import dataclass

from domain.workflows.configs import Config, said
from domain.workflows.nodes.kind import NodeKind
from domain.workflows.readers import text


@dataclass(frozen=True)
class Exit(Config):
    """Why."""

    reason: str | None = said("Why, for those who look at the run.", text(200), None)


KIND = NodeKind("exit", Exit, "Ends the run, on all its ways.", plain=False)
