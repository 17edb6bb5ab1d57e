"""What a kind of node is."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from domain.segments.conditions import Condition, Field
from domain.workflows.configs import Config

NEXT = "next"
"""The way of plain edges."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Scene(Protocol):
    """What a node is tried out in."""

    @property
    def at(self) -> datetime:
        """When it is reached."""

    @property
    def contact_id(self) -> UUID:
        """Who reaches it."""

    @property
    def time_zone(self) -> str | None:
        """Where they live."""

    @property
    def salt(self) -> str:
        """Tells this node of this workflow from all others."""

    async def holds(self, condition: Condition) -> bool:
        """Whether a condition on the contact holds."""

    def compares(self, comparison: Field) -> bool | None:
        """Whether a comparison of what has come up holds; None when that is not known."""


class Outcome(NamedTuple):
    """What would come of a node: when it is left, by which branch (None: plain edges), why, and with which outputs."""

    at: datetime
    reason: str
    branch: str | None = None
    output: Mapping[str, Any] = NOTHING


async def _goes_on(_config: Any, scene: Scene) -> Outcome:
    return Outcome(scene.at, "It is taken to work, and the run goes on.")


def _none(_config: Any) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class NodeKind:
    """A kind of node.

    Attributes:
        name: as definitions write it.
        config: how it is set.
        description: what it does, for the API and people.
        branches: the branches that it must have, given its config. A node without any, and without edges, is an end.
        may_branch: branches that it may have besides.
        plain: whether plain edges may leave it.
        tried: what would come of it, without doing anything.
        acts: what it does, as `nodes.acts` has it; None when what comes of it in a dry run is all there is to it.
        locks_contact: whether it must be alone with the contact: no event comes in meanwhile.
        outputs: what later nodes may say of it: `{{ steps.<id>.output.<name> }}`; a name with `.*` is an object.
    """

    name: str
    config: type[Config]
    description: str
    branches: Callable[[Any], tuple[str, ...]] = _none
    may_branch: tuple[str, ...] = ()
    plain: bool = True
    outputs: tuple[str, ...] = ()
    tried: Callable[[Any, Scene], Awaitable[Outcome]] = _goes_on
    acts: Callable[[Any, Any], Awaitable[Any]] | None = None
    locks_contact: bool = False
