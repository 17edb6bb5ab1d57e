"""Mark the contact with a tag, or unmark them."""

from dataclasses import dataclass

from domain import contacts
from domain.contacts import ContactFields
from domain.workflows.configs import Config, said
from domain.workflows.nodes.acts import Act, Done
from domain.workflows.nodes.kind import NodeKind
from domain.workflows.readers import text


@dataclass(frozen=True)
class AddTag(Config):
    """Which tag is added."""

    tag: str = said("The tag.", text(50))


@dataclass(frozen=True)
class RemoveTag(Config):
    """Which tag is removed."""

    tag: str = said("The tag.", text(50))


async def _add(config: AddTag, act: Act) -> Done:
    if config.tag not in act.contact.tags:
        await _set(act, [*act.contact.tags, config.tag])
    return Done()


async def _remove(config: RemoveTag, act: Act) -> Done:
    if config.tag in act.contact.tags:
        await _set(act, [tag for tag in act.contact.tags if tag != config.tag])
    return Done()


async def _set(act: Act, tags: list[str]) -> None:
    await contacts.update(act.session, act.principal, act.contact_id, ContactFields(tags=tags))


ADD = NodeKind("add_tag", AddTag, "Adds a tag to the contact.", acts=_add, locks_contact=True)
REMOVE = NodeKind("remove_tag", RemoveTag, "Removes a tag from the contact.", acts=_remove, locks_contact=True)
