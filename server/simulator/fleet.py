"""Many devices at once, each connected again when its connection breaks."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from websockets.exceptions import ConnectionClosed, WebSocketException

from server.simulator.backoff import Backoff
from server.simulator.counts import Counts
from server.simulator.device import Device
from server.simulator.line import LineFault, is_final, opened

AT_ONCE = 50
STEADY_SECONDS = 5.0


class Fleet:
    """Devices that stay connected to `url`; at most 50 connect at the same time."""

    def __init__(self, url: str, devices: Sequence[Device], counts: Counts) -> None:
        counts.devices = len(devices)
        self._url, self._devices, self._counts = url, devices, counts
        self._doors = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Keep all devices connected until cancelled, or until the server has refused them all."""
        async with asyncio.TaskGroup() as group:
            for device in self._devices:
                group.create_task(self._keep(device))

    async def _keep(self, device: Device) -> None:
        """Connect again and again; after a connection that lasted, soon."""
        backoff = Backoff()
        while True:
            since = time.monotonic()
            if await self._connect(device):
                self._counts.refused += 1
                return
            if time.monotonic() - since > STEADY_SECONDS:
                backoff.reset()
            await backoff.wait()
            self._counts.reconnects += 1

    async def _connect(self, device: Device) -> bool:
        """One connection, from its beginning to its end; returns whether the server refused it for good."""
        try:
            async with AsyncExitStack() as stack:
                async with self._doors:
                    line = await stack.enter_async_context(opened(self._url, device.token))
                with self._counts.connection():
                    await device.live(line)
        except (OSError, TimeoutError, WebSocketException, LineFault) as error:
            self._counts.trouble = _told(error)
            return is_final(error)
        return False


def _told(error: Exception) -> str:
    if isinstance(error, ConnectionClosed) and error.rcvd:
        return f"{error.rcvd.code} {error.rcvd.reason}"
    return str(error) or type(error).__name__
