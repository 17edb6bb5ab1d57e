"""What every channel is: takes messages, tells what came of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True)
class Outgoing:
    """A message on its way to one device.

    Attributes:
        key: identity of the send; a channel that gets it twice acts once.
    """

    key: str
    app_id: UUID
    device_id: UUID
    title: str
    body: str
    data: dict[str, Any] | None


@dataclass(frozen=True)
class Outcome:
    """What came of one message; `error_code` is None when the channel took it."""

    key: str
    error_code: str | None = None


class Channel(Protocol):
    """A way to devices. Broadcasts, workflow steps and agents' replies send through it alike."""

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Send all of `batch` (one app's); returns the outcome of each.

        A send with a key that was sent before has no second effect, and its outcome is that of the first.
        """
        ...
