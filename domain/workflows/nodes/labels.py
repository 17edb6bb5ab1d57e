"""Put a label on the contact's open conversation, or take it off."""

from dataclasses import dataclass
from uuid import UUID

from domain import labels
from domain.workflows.configs import Config, Reference, said
from domain.workflows.nodes.acts import Act, Done
from domain.workflows.nodes.kind import NodeKind
from domain.workflows.readers import reference


@dataclass(frozen=True)
class AddLabel(Config):
    """Which label is put on."""

    label_id: UUID = said("The label.", reference(Reference.LABEL))


@dataclass(frozen=True)
class RemoveLabel(Config):
    """Which label is taken off."""

    label_id: UUID = said("The label.", reference(Reference.LABEL))


async def _add(config: AddLabel, act: Act) -> Done:
    for id_ in await act.open_conversations():
        await labels.put_on(act.session, act.principal, id_, config.label_id)
    return Done()


async def _remove(config: RemoveLabel, act: Act) -> Done:
    for id_ in await act.open_conversations():
        await labels.take_off(act.session, act.principal, id_, config.label_id)
    return Done()


ADD = NodeKind("add_label", AddLabel, "Puts a label on the contact's open conversations.", acts=_add)
REMOVE = NodeKind("remove_label", RemoveLabel, "Takes a label off the contact's open conversations.", acts=_remove)
