"""Give the contact's open conversation to somebody."""

from dataclasses import dataclass
from uuid import UUID

from domain.conversations.assignment import control
from domain.workflows.configs import Config, Reference, said
from domain.workflows.nodes.acts import Act, Done
from domain.workflows.nodes.kind import NodeKind
from domain.workflows.readers import reference


@dataclass(frozen=True)
class Assign(Config):
    """To whom."""

    user_id: UUID | None = said("Who answers; the queue, when left out.", reference(Reference.USER), None)


async def _acts(config: Assign, act: Act) -> Done:
    for id_ in await act.open_conversations():
        if config.user_id:
            await control.assign(act.session, act.principal, id_, config.user_id)
        else:
            await control.unassign(act.session, act.principal, id_)
    return Done()


KIND = NodeKind("assign", Assign, "Assigns the contact's open conversations to somebody, or to the queue.", acts=_acts)
