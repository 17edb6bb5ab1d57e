"""IN_APP: the message is stored for the device, and its open websocket is told."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from channels.base import Code, Outcome, Outgoing, Recovery, Refused, Taken

Store = Callable[[Sequence[Outgoing]], Awaitable[set[UUID]]]


class InApp:
    """Hands messages to `store`, which writes each key once, calls the devices and returns those that exist."""

    recovery = Recovery.REPEAT

    def __init__(self, store: Store) -> None:
        self._store = store

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Store the batch; a device that was removed meanwhile fails with DEVICE_GONE."""
        reached = await self._store(batch)
        return [
            Outcome(one.key, Taken() if one.device_id in reached else Refused(Code.DEVICE_GONE, dead_address=True))
            for one in batch
        ]
