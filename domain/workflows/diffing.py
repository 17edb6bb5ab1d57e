"""What is different between two definitions. Where nodes stand in the builder does not count."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain.workflows.definition import Definition, Edge, Node


@dataclass(frozen=True)
class NodeChange:
    """A node that is in both, and not the same."""

    before: Node
    after: Node

    @property
    def node_id(self) -> str:
        """Its id."""
        return self.before.id

    @property
    def changed(self) -> list[str]:
        """What of it is different: type, name, branches, and fields of its config like `config.body`."""
        parts = [
            name for name in ("type", "name", "branches") if getattr(self.before, name) != getattr(self.after, name)
        ]
        old, new = self.before.config, self.after.config
        keys = dict.fromkeys([*old, *new])
        return parts + [f"config.{key}" for key in keys if (key in old, old.get(key)) != (key in new, new.get(key))]


@dataclass(frozen=True)
class Diff:
    """What has changed. `settings` are those of trigger, reentry, goal and exit that have."""

    added: Sequence[Node]
    removed: Sequence[Node]
    changed: Sequence[NodeChange]
    added_edges: Sequence[Edge]
    removed_edges: Sequence[Edge]
    settings: Sequence[str]


def diff(before: Definition, after: Definition) -> Diff:
    """What has changed from one definition to another."""
    old, new = ({node.id: node for node in one.nodes} for one in (before, after))
    both = [NodeChange(old[id_], new[id_]) for id_ in old if id_ in new]
    return Diff(
        added=[node for id_, node in new.items() if id_ not in old],
        removed=[node for id_, node in old.items() if id_ not in new],
        changed=[one for one in both if replace(one.before, position=None) != replace(one.after, position=None)],
        added_edges=[edge for edge in after.edges if edge not in set(before.edges)],
        removed_edges=[edge for edge in before.edges if edge not in set(after.edges)],
        settings=[
            name for name in ("trigger", "reentry", "goal", "exit") if getattr(before, name) != getattr(after, name)
        ],
    )
