"""What the simulated devices have seen and done."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Counts:
    """Sums over all devices.

    Attributes:
        devices: how many there are.
        connected: of them, connected at this moment.
        received: messages that came, whether or not for the first time.
        repeated: messages that came to a device that had them; must stay 0.
        delivered: reports of this kind that the server has taken. opened, clicked: likewise.
        finished: messages that came and whose reports have all been taken.
        reconnects: attempts to connect again after a connection broke or could not be opened.
        retries: reports that the server could not take and that were sent again.
        refused: devices that the server does not want.
        trouble: what broke last; empty when nothing did.
    """

    devices: int = 0
    connected: int = 0
    received: int = 0
    repeated: int = 0
    delivered: int = 0
    opened: int = 0
    clicked: int = 0
    finished: int = 0
    reconnects: int = 0
    retries: int = 0
    refused: int = 0
    trouble: str = ""

    @property
    def distinct(self) -> int:
        """Messages that came, each counted once."""
        return self.received - self.repeated

    @contextmanager
    def connection(self) -> Iterator[None]:
        """Count a device as connected during the block."""
        self.connected += 1
        try:
            yield
        finally:
            self.connected -= 1

    def report(self, kind: str) -> None:
        """Count a report that the server has taken: DELIVERED, OPENED or CLICKED."""
        name = kind.lower()
        setattr(self, name, getattr(self, name) + 1)

    def summary(self) -> dict[str, Any]:
        """Everything, for a table or for JSON."""
        return asdict(self) | {"distinct": self.distinct}
