"""Part contacts by chance, the same way each time."""

import hashlib
from dataclasses import dataclass
from itertools import accumulate
from uuid import UUID

from core.errors import Invalid
from domain.workflows.configs import Config, said
from domain.workflows.nodes.kind import NodeKind, Outcome, Scene
from domain.workflows.readers import integer, several, text

_HASH = 2**64


@dataclass(frozen=True)
class Variant(Config):
    """One of the ways."""

    name: str = said("What its branch is called.", text(50))
    weight: int = said("Its share, beside the weights of the others: 1 to 1000.", integer(1, 1_000))


@dataclass(frozen=True)
class RandomSplit(Config):
    """The ways."""

    variants: tuple[Variant, ...] = said("2 to 10 ways.", several(Variant, 10))

    def refuse(self, at: str) -> None:
        """Refuse a single way, and two of one name."""
        if len({one.name for one in self.variants}) != len(self.variants) or len(self.variants) == 1:
            raise Invalid(f"{at}.variants must be 2 to 10 ways of different names.", field=f"{at}.variants")

    def chosen(self, contact_id: UUID, salt: str) -> str:
        """The way of a contact: it follows from who they are and `salt`, the node, and never changes."""
        digest = hashlib.sha256(f"{salt}:{contact_id}".encode()).digest()
        ends = list(accumulate(one.weight for one in self.variants))
        drawn = int.from_bytes(digest[:8]) * ends[-1] // _HASH
        return next(one.name for one, end in zip(self.variants, ends, strict=True) if drawn < end)


def _branches(config: RandomSplit) -> tuple[str, ...]:
    return tuple(one.name for one in config.variants)


async def _tried(config: RandomSplit, scene: Scene) -> Outcome:
    name = config.chosen(scene.contact_id, scene.salt)
    reason = f"Chance, which is the same each time for a contact, has drawn {name}."
    return Outcome(scene.at, reason, name, {"variant": name})


KIND = NodeKind(
    "random_split",
    RandomSplit,
    "Parts contacts by chance into branches called after the variants.",
    branches=_branches,
    plain=False,
    outputs=("variant",),
    tried=_tried,
)
