"""A bounded queue between a writer that never waits and one reader."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):
    """Nothing more will come."""


class Ring(Generic[T]):
    """Holds at most `capacity` items. For one event loop."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._ready = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> bool:
        """Add `item`; False, and nothing added, when the ring is full."""
        if len(self._items) >= self._capacity:
            return False
        self._items.append(item)
        self._ready.set()
        return True

    async def get(self) -> T:
        """The oldest item, waiting for one.

        Raises:
            Closed: the ring was closed and is empty.
        """
        while not self._items:
            if self._closed:
                raise Closed
            self._ready.clear()
            await self._ready.wait()
        return self._items.popleft()

    def drain(self) -> list[T]:
        """Take everything that is there, oldest first, without waiting."""
        taken = list(self._items)
        self._items.clear()
        return taken

    def close(self) -> None:
        """Let a waiting reader go."""
        self._closed = True
        self._ready.set()
