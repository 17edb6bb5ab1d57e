"""The hub: a process listens once to every shard, and hands ticks to its subscribers locally."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import Protocol

from broadcaster import Broadcast, Event

from core.config import config
from core.pubsub.backend import Bounds, RedisBackend, stop
from core.pubsub.subscription import Subscription
from core.pubsub.wire import GAP, SHARDS, channel_of, decode, shard_of

CAPACITY = 256
BOUNDS = Bounds()


class _Source(Protocol):
    async def get(self) -> Event: ...


class _Bus(Broadcast):
    """Broadcast, whose own disconnect() does not wait for its listener."""

    async def connect(self) -> None:
        await super().connect()
        self._listener_task.set_name("pubsub-listener")

    async def disconnect(self) -> None:
        await super().disconnect()
        await stop(self._listener_task)


class Hub:
    """Topics of this process and who listens to them. For one event loop.

    Args:
        capacity: items that may wait for a subscriber before they become one GAP.
        bounds: waits of the reader, in seconds.
    """

    def __init__(self, *, capacity: int = CAPACITY, bounds: Bounds = BOUNDS) -> None:
        self._capacity = capacity
        self._bounds = bounds
        self._lock = asyncio.Lock()
        self._backend: RedisBackend | None = None
        self._open: AsyncExitStack | None = None
        self._shards: list[dict[str, set[Subscription]]] = [{} for _ in range(SHARDS)]

    @property
    def connected(self) -> bool:
        """Whether ticks arrive at present. When not, the hub is reconnecting, and a GAP will follow."""
        return self._backend is not None and self._backend.connected

    @property
    def topics(self) -> int:
        """How many topics have subscribers in this process."""
        return sum(map(len, self._shards))

    async def connect(self) -> None:
        """Listen to all shards. Idempotent; back within about 2 s even when Redis is away, which then is retried."""
        async with self._lock:
            if self._open is None:
                self._open = await self._attach()

    async def disconnect(self) -> None:
        """End all subscriptions and stop listening; no task stays. connect() may follow."""
        async with self._lock:
            for subscription in self._subscriptions():
                subscription.close()
            if self._open is not None:
                await self._open.aclose()
                self._open = None

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncIterator[Subscription]:
        """Ticks of `topic` from now on; connects the hub when needed. Subscribe first, then read the truth."""
        await self.connect()
        topics = self._shards[shard_of(topic)]
        subscription = Subscription(topic, self._capacity)
        topics.setdefault(topic, set()).add(subscription)
        try:
            yield subscription
        finally:
            subscription.close()
            topics[topic].discard(subscription)
            if not topics[topic]:
                del topics[topic]

    async def _attach(self) -> AsyncExitStack:
        """Everything that runs while the hub is connected, to be taken down in the opposite order."""
        channels = [channel_of(shard) for shard in range(SHARDS)]
        self._backend = RedisBackend(config().redis_url, channels, self._bounds)
        async with AsyncExitStack() as building:
            bus = await building.enter_async_context(_Bus(backend=self._backend))
            for shard, channel in enumerate(channels):
                source = await building.enter_async_context(bus.subscribe(channel))
                pump = asyncio.create_task(self._pump(shard, source), name=f"pubsub-shard-{shard}")
                building.push_async_callback(stop, pump)
            return building.pop_all()

    async def _pump(self, shard: int, source: _Source) -> None:
        while True:
            event = await source.get()
            self._dispatch(self._shards[shard], event.message)

    def _dispatch(self, topics: dict[str, set[Subscription]], message: str) -> None:
        ticks = decode(message)
        if ticks is GAP:
            for subscription in (one for subscribers in topics.values() for one in subscribers):
                subscription.offer(GAP)
            return
        for tick in ticks:
            for subscription in topics.get(tick.topic, ()):
                subscription.offer(tick)

    def _subscriptions(self) -> list[Subscription]:
        return [one for topics in self._shards for subscribers in topics.values() for one in subscribers]


@cache
def hub() -> Hub:
    """The hub of this process. It belongs to the event loop that connects it."""
    return Hub()
