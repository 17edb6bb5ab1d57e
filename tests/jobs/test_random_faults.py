"""Broadcasts under random faults: processes killed or frozen, wake-ups lost. Long; `make faults` runs it.

REPLYHQ_FAULT_SEEDS is a list of seeds, "1,2,3" when not set; a failure names its seed.
"""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.jobs.test_faults import forget_wake_ups, messages_per_device, rows_sent
from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.processes import Api, Process, clock, worker
from tests.support.waiting import until
from tests.test_broadcasts import SEND, STATS, create

SEEDS = [int(seed) for seed in os.environ.get("REPLYHQ_FAULT_SEEDS", "1,2,3").split(",")]
RECIPIENTS = 60_000
FAULTS_LEAST = 4
FREEZE_SECONDS = 5.0
pytestmark = pytest.mark.long


class House:
    """An API, two workers and two clocks, all of which may be hurt."""

    def __init__(self, chance: random.Random) -> None:
        self.api = Api()
        self.workers = [worker(), worker()]
        self.clocks = [clock(), clock()]
        self._chance = chance

    def start(self) -> None:
        for process in (self.api, *self.workers, *self.clocks):
            process.start()

    def stop(self) -> None:
        for process in (self.api, *self.workers, *self.clocks):
            process.stop()

    async def hurt(self) -> str:
        """One fault, chosen by chance; its name."""
        faults: list[Callable[[], Awaitable[None]]] = [
            self._kill_worker,
            self._kill_worker,
            self._freeze_worker,
            self._kill_clock,
            self._kill_api,
            forget_wake_ups,
        ]
        fault = self._chance.choice(faults)
        await fault()
        return fault.__name__

    async def _kill_worker(self) -> None:
        await self._again(self._chance.choice(self.workers))

    async def _kill_clock(self) -> None:
        await self._again(self._chance.choice(self.clocks))

    async def _kill_api(self) -> None:
        await self._again(self.api)

    async def _again(self, process: Process) -> None:
        process.kill()
        await asyncio.to_thread(process.start)

    async def _freeze_worker(self) -> None:
        """Longer than its lease: when it thaws, another has its chunk."""
        frozen = self._chance.choice(self.workers)
        os.killpg(frozen.pid, signal.SIGSTOP)
        await asyncio.sleep(FREEZE_SECONDS)
        os.killpg(frozen.pid, signal.SIGCONT)


@pytest.fixture(params=SEEDS)
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    made = House(random.Random(request.param))
    made.start()
    yield made
    made.stop()


async def test_nobody_is_left_out_and_nobody_gets_it_twice(house: House, team: Team) -> None:
    await factories.contacts(team.app_id, RECIPIENTS)
    graph = Graph(house.api.graphql, house.api.socket, team.token)
    broadcast_id = await create(graph)
    await graph.change(SEND, id=broadcast_id)
    await until(lambda: rows_sent(broadcast_id), lambda count: count > 0, seconds=60)
    suffered = []
    while await rows_sent(broadcast_id) < RECIPIENTS:
        suffered.append(await house.hurt())
    assert len(suffered) >= FAULTS_LEAST, suffered
    seen = await until(
        lambda: graph.data(STATS, id=broadcast_id), lambda seen: seen["broadcast"]["status"] == "SENT", seconds=60
    )
    await graph.close()
    assert seen["broadcast"]["stats"]["totalSent"] == RECIPIENTS, suffered
    assert await rows_sent(broadcast_id) == RECIPIENTS, suffered
    assert await messages_per_device(team) == [1] * RECIPIENTS, suffered
