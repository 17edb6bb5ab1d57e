"""Many small askings answered together: while one batch is under way the next one gathers, so load makes it larger."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
LARGEST = 500


class Batcher(Generic[K, V]):
    """Answers `ask` by calling `work` with all that has gathered, one batch at a time.

    Args:
        work: takes 1 to `largest` askings, gives an answer for each, in their order. When it raises, all of the batch
            fail with that.
        largest: askings in a batch.
    """

    def __init__(self, work: Callable[[list[K]], Awaitable[Sequence[V]]], largest: int = LARGEST) -> None:
        self._work = work
        self._largest = largest
        self._waiting: list[tuple[K, asyncio.Future[V]]] = []
        self._running: asyncio.Task[None] | None = None

    async def ask(self, asking: K) -> V:
        """The answer to one asking. Giving up on it (cancelling) leaves the others alone."""
        answer: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._waiting.append((asking, answer))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(), name="batcher")
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
            await self._answer([one for one in batch if not one[1].done()])

    async def _answer(self, batch: list[tuple[K, asyncio.Future[V]]]) -> None:
        """Work on a batch; whatever happens, everyone who still waits is told."""
        if not batch:
            return
        try:
            found = await self._work([asking for asking, _ in batch])
        except Exception as error:  # noqa: BLE001  it belongs to those who asked
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), value in zip(batch, found, strict=True):
            if not answer.done():
                answer.set_result(value)
