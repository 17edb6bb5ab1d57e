"""Mark the contact with a tag, or unmark them."""

from dataclasses import dataclass

from domain.workflows.configs import Config, said
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


ADD = NodeKind("add_tag", AddTag, "Adds a tag to the contact.")
REMOVE = NodeKind("remove_tag", RemoveTag, "Removes a tag from the contact.")
