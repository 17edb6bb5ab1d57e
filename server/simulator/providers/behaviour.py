"""What goes wrong at a simulated provider, and how often."""

import asyncio
import hashlib
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from random import Random
from typing import Any

from core.errors import Invalid

_SPAN = 2**32


class Fate(StrEnum):
    """What becomes of a message. LOST is taken, and then the connection breaks before that is said."""

    TAKEN = "TAKEN"
    LOST = "LOST"
    DEAD = "DEAD"
    BUSY = "BUSY"
    BROKEN = "BROKEN"


@dataclass(frozen=True)
class Behaviour:
    """How a provider behaves. The shares are of all messages, but `dead`, which is of all addresses.

    Attributes:
        busy: share answered with 429 or its like.
        retry_after: seconds that these say to wait.
        broken: share answered with 500 or its like.
        dead: share of addresses that are not registered: always the same ones.
        lost: share taken, whose connection then breaks.
        latency_ms: how long each answer takes.
    """

    busy: float = 0.0
    retry_after: int = 1
    broken: float = 0.0
    dead: float = 0.0
    lost: float = 0.0
    latency_ms: float = 0.0

    def __post_init__(self) -> None:
        for name in ("busy", "broken", "dead", "lost"):
            if not 0 <= getattr(self, name) <= 1:
                raise Invalid(f"{name} is a share, from 0 to 1.", field=name)
        if self.busy + self.broken + self.lost > 1:
            raise Invalid("busy, broken and lost are shares of all messages: together they are at most 1.")
        if not 0 <= self.latency_ms <= 60_000 or not 0 <= self.retry_after <= 86_400:
            raise Invalid("latency_ms is 0 to 60000, retry_after 0 to 86400.")

    def changed(self, given: dict[str, Any]) -> "Behaviour":
        """The same but for what is given.

        Raises:
            Invalid: there is no such knob, or a value is none for it.
        """
        known = {one.name for one in fields(self)}
        wrong = [name for name, value in given.items() if name not in known or not isinstance(value, int | float)]
        if wrong:
            raise Invalid(f"{', '.join(wrong)}: give numbers for {', '.join(sorted(known))}.")
        return Behaviour(**asdict(self) | given)


@dataclass
class Luck:
    """Decides the fate of each message by the behaviour of the moment."""

    behaviour: Behaviour
    seed: int | None = None
    _random: Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)  # noqa: S311 - a simulator

    async def fate(self, address: str) -> Fate:
        """What becomes of a message to `address`, after as long as an answer takes."""
        if self.behaviour.latency_ms:
            await asyncio.sleep(self.behaviour.latency_ms / 1000)
        if _place(address) < self.behaviour.dead:
            return Fate.DEAD
        drawn = self._random.random()
        for fate, share in ((Fate.BUSY, "busy"), (Fate.BROKEN, "broken"), (Fate.LOST, "lost")):
            drawn -= getattr(self.behaviour, share)
            if drawn < 0:
                return fate
        return Fate.TAKEN


def _place(address: str) -> float:
    """Where an address stands between 0 and 1, always the same."""
    return int.from_bytes(hashlib.sha256(address.encode()).digest()[:4], "big") / _SPAN
