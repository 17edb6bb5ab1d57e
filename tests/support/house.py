"""An API, two workers and two clocks, all of which may be hurt."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable

from tests.support.processes import Api, Process, clock, worker

Fault = Callable[[], Awaitable[None]]


class House:
    """The processes of the product. `freeze_seconds` is longer than a lease: when a worker thaws, it has lost it."""

    def __init__(self, chance: random.Random, freeze_seconds: float) -> None:
        self.api = Api()
        self.workers = [worker(), worker()]
        self.clocks = [clock(), clock()]
        self._chance = chance
        self._freeze_seconds = freeze_seconds

    def start(self) -> None:
        for process in (self.api, *self.workers, *self.clocks):
            process.start()

    def stop(self) -> None:
        for process in (self.api, *self.workers, *self.clocks):
            process.stop()

    async def kill_worker(self) -> None:
        await _again(self._chance.choice(self.workers))

    async def kill_clock(self) -> None:
        await _again(self._chance.choice(self.clocks))

    async def kill_clocks(self) -> None:
        for process in self.clocks:
            process.kill()
        for process in self.clocks:
            await asyncio.to_thread(process.start)

    async def kill_api(self) -> None:
        await _again(self.api)

    async def freeze_worker(self) -> None:
        frozen = self._chance.choice(self.workers)
        os.killpg(frozen.pid, signal.SIGSTOP)
        await asyncio.sleep(self._freeze_seconds)
        os.killpg(frozen.pid, signal.SIGCONT)

    async def deploy(self) -> None:
        """One worker after the other is asked to end and starts again."""
        for process in self.workers:
            await asyncio.to_thread(process.stop)
            await asyncio.to_thread(process.start)


async def _again(process: Process) -> None:
    process.kill()
    await asyncio.to_thread(process.start)
