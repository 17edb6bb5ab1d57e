"""What tests of the bus share."""

import asyncio
from contextlib import suppress

from core.pubsub import Bounds, Tick, publish
from tests.core.valkey_server import until

QUICK = Bounds(beat=0.1, silence=0.5, patience=0.3, backoff=0.2)


async def take(subscription, seconds=5.0):
    async with asyncio.timeout(seconds):
        return await subscription.get()


async def ticks_through(subscription, data):
    """Publish until it arrives: after an outage the publisher may be back a little later than the reader."""
    tick = Tick(subscription.topic, data)
    async with asyncio.timeout(5):
        while tick not in subscription.drain():
            await publish([tick])
            with suppress(TimeoutError):
                await until(lambda: len(subscription) > 0, 0.2)
