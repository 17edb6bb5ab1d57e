"""Many small askings answered together: while one batch is under way the next one gathers, so load makes it larger."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from core.errors import Unavailable

K = TypeVar("K")
V = TypeVar("V")
LARGEST = 500
SECONDS = 8.0


class Batcher(Generic[K, V]):
    """Answers `ask` by calling `work` with all that has gathered, one batch at a time.

    Args:
        work: takes some askings, gives an answer for each, in their order. When it raises, or takes longer than
            `SECONDS`, all of the batch fail.
        largest: weight of a batch; a heavier asking makes one of its own.
        weigh: the weight of an asking, 1 when not given.
    """

    def __init__(
        self,
        work: Callable[[list[K]], Awaitable[Sequence[V]]],
        *,
        largest: int = LARGEST,
        weigh: Callable[[K], int] | None = None,
    ) -> None:
        self._work = work
        self._largest = largest
        self._weigh = weigh or (lambda _: 1)
        self._waiting: list[tuple[K, asyncio.Future[V]]] = []
        self._running: asyncio.Task[None] | None = None

    async def ask(self, asking: K) -> V:
        """The answer to one asking. Giving up on it (cancelling) leaves the others alone.

        Raises:
            Unavailable: it took too long.
        """
        answer: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._waiting.append((asking, answer))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(), name="batcher")
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            await self._answer([one for one in self._take() if not one[1].done()])

    def _take(self) -> list[tuple[K, asyncio.Future[V]]]:
        """The next batch: as many as weigh no more than the largest, one at least."""
        count, weight = 1, self._weigh(self._waiting[0][0])
        while count < len(self._waiting) and (weight := weight + self._weigh(self._waiting[count][0])) <= self._largest:
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _answer(self, batch: list[tuple[K, asyncio.Future[V]]]) -> None:
        """Work on a batch; whatever happens, everyone who still waits is told."""
        if not batch:
            return
        try:
            async with asyncio.timeout(SECONDS):
                found = await self._work([asking for asking, _ in batch])
        except TimeoutError:
            self._fail(batch, Unavailable("The server took too long; try again."))
        except Exception as error:  # noqa: BLE001  it belongs to those who asked
            self._fail(batch, error)
        else:
            for (_, answer), value in zip(batch, found, strict=True):
                if not answer.done():
                    answer.set_result(value)

    def _fail(self, batch: list[tuple[K, asyncio.Future[V]]], error: Exception) -> None:
        for _, answer in batch:
            if not answer.done():
                answer.set_exception(error)
