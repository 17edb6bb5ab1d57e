"""One subscriber's end of a topic: bounded, so that a slow one costs nobody else."""

import asyncio
from contextlib import suppress

from core.pubsub.ring import Closed, Ring
from core.pubsub.wire import GAP, Gap, Tick


class Subscription:
    """The ticks of one topic since the subscription began. For one reader.

    A reader that lets more than `capacity` items wait loses them and gets one GAP in their place.
    Iteration ends when the subscription ends or its hub disconnects.
    """

    def __init__(self, topic: str, capacity: int) -> None:
        self.topic = topic
        self._ring: Ring[Tick | Gap] = Ring(capacity)

    async def get(self) -> Tick | Gap:
        """The next tick or GAP, waiting for it.

        Raises:
            Closed: the subscription has ended.
        """
        return await self._ring.get()

    async def hear(self, seconds: float | None) -> Tick | Gap | None:
        """The next tick or GAP, or None when none has come within `seconds`; None waits without a bound.

        Raises:
            Closed: the subscription has ended.
        """
        # `asyncio.wait_for` of Python 3.11 forgets that it was cancelled when a tick comes at that moment
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self.get()
        return None

    def drain(self) -> list[Tick | Gap]:
        """All that is queued, oldest first, without waiting; may be empty."""
        return self._ring.drain()

    def offer(self, item: Tick | Gap) -> None:
        """Queue `item` for the reader. For the hub; never waits."""
        if not self._ring.put(item):
            self._ring.drain()
            self._ring.put(GAP)

    def close(self) -> None:
        """End the subscription; what is queued can still be read."""
        self._ring.close()

    def __len__(self) -> int:
        return len(self._ring)

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Tick | Gap:
        try:
            return await self.get()
        except Closed:
            raise StopAsyncIteration from None
