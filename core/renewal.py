"""What has to be said again and again as long as it holds, so that it ends by itself when this process does."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
AT_ONCE = 1_000


class Renewal(Generic[K]):
    """One task says all that is held in this process, a thousand at a time, as long as anything is.

    Args:
        say: says it of some; must not raise.
        every: seconds between two times.
    """

    def __init__(self, say: Callable[[Sequence[K]], Awaitable[None]], every: Callable[[], float]) -> None:
        self._say = say
        self._every = every
        self._held: Counter[K] = Counter()
        self._task: asyncio.Task[None] | None = None

    def hold(self, key: K) -> None:
        """Say it from now on. What is held several times has to be let go as often."""
        self._held[key] += 1
        if self._task is None or self._task.cancelling() or self._task.done():
            self._task = asyncio.create_task(self._renew())

    def let_go(self, key: K) -> bool:
        """Whether nobody here holds it any more."""
        self._held[key] -= 1
        if self._held[key] > 0:
            return False
        del self._held[key]
        if not self._held and self._task is not None:
            self._task.cancel()
        return True

    def holds(self, key: K) -> bool:
        """Whether somebody here holds it."""
        return key in self._held

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._every())
            held = list(self._held)
            for start in range(0, len(held), AT_ONCE):
                await self._say([key for key in held[start : start + AT_ONCE] if key in self._held])
