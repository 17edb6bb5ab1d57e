"""Give the contact's open conversation to somebody."""

from dataclasses import dataclass
from uuid import UUID

from domain.workflows.configs import Config, Reference, said
from domain.workflows.nodes.kind import NodeKind
from domain.workflows.readers import reference


@dataclass(frozen=True)
class Assign(Config):
    """To whom."""

    user_id: UUID | None = said("Who answers; the queue, when left out.", reference(Reference.USER), None)


KIND = NodeKind("assign", Assign, "Assigns the contact's open conversations to somebody, or to the queue.")
