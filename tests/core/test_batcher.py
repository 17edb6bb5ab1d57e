import asyncio

import pytest

from core.batcher import Batcher
from core.errors import Unavailable


class Work:
    """Doubles numbers, and notes the batches it got."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = asyncio.Event()

    async def __call__(self, askings: list[int]) -> list[int]:
        self.batches.append(askings)
        await self.go.wait()
        if 13 in askings:
            raise ValueError("thirteen")
        return [2 * one for one in askings]


async def asked(batcher: Batcher[int, int], *askings: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(batcher.ask(one)) for one in askings]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_what_comes_while_a_batch_is_under_way_makes_the_next_one() -> None:
    work = Work()
    batcher = Batcher(work, largest=3)
    first = await asked(batcher, 1)
    rest = await asked(batcher, 2, 3, 4, 5)
    work.go.set()
    assert await asyncio.gather(*first, *rest) == [2, 4, 6, 8, 10]
    assert work.batches == [[1], [2, 3, 4], [5]]


async def test_a_batch_that_fails_fails_for_its_own_and_the_next_one_works() -> None:
    work = Work()
    work.go.set()
    batcher = Batcher(work)
    with pytest.raises(ValueError, match="thirteen"):
        await batcher.ask(13)
    assert await batcher.ask(1) == 2


async def test_one_that_gives_up_leaves_the_others_alone() -> None:
    work = Work()
    batcher = Batcher(work)
    (busy,) = await asked(batcher, 1)
    gone, stays = await asked(batcher, 2, 3)
    gone.cancel()
    work.go.set()
    assert await asyncio.gather(busy, stays) == [2, 6]
    assert work.batches == [[1], [3]]


async def test_a_batch_weighs_no_more_than_the_largest() -> None:
    work = Work()
    batcher = Batcher(work, largest=10, weigh=lambda asking: asking)
    first = await asked(batcher, 1)
    rest = await asked(batcher, 6, 4, 5, 20, 3)
    work.go.set()
    await asyncio.gather(*first, *rest)
    assert work.batches == [[1], [6, 4], [5], [20], [3]]


async def test_work_that_hangs_fails_in_time_and_the_next_batch_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.batcher.SECONDS", 0.05)
    work = Work()
    batcher = Batcher(work)
    with pytest.raises(Unavailable):
        await batcher.ask(1)
    work.go.set()
    assert await batcher.ask(2) == 4
