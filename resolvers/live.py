"""Snapshots that follow a topic: the state now, then anew whenever something has changed, never too often."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from core.pubsub import hub

S = TypeVar("S")
FRAME_SECONDS = 0.25
LOOK_SECONDS = 5.0


async def snapshots(topic: str, read: Callable[[], Awaitable[S]]) -> AsyncGenerator[S, None]:
    """Yield what `read` says now, and again when a tick of `topic` changed it: at most 4 a second, the latest wins.

    A tick that got lost costs five seconds: it looks by itself then.
    """
    last: S | None = None
    async with hub().subscribe(topic) as ticks:
        while True:
            ticks.drain()
            if (state := await read()) != last:
                yield (last := state)
            await asyncio.sleep(FRAME_SECONDS)
            with suppress(TimeoutError):
                await asyncio.wait_for(ticks.get(), LOOK_SECONDS)
