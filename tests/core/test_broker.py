"""Wake-ups when Redis does not answer: nobody waits long, and nobody else's threads are taken."""

import asyncio
from time import monotonic

import pytest

from core import broker
from core.broker import wake
from tests.core.valkey_server import configured

# Than the 5 s that one blocked call takes: fifty wait together, not one after the other.
MUCH_LESS = 4.0


@pytest.fixture
async def valkey(monkeypatch):
    async with configured(monkeypatch) as server:
        await server.start()
        broker.broker.cache_clear()
        broker._line.silent_until = 0.0
        yield server
        server.thaw()
        broker.broker.cache_clear()
        broker._line.silent_until = 0.0


async def seconds(*waking) -> float:
    start = monotonic()
    await asyncio.gather(*waking)
    return monotonic() - start


async def waiting(valkey) -> int:
    namespace = broker.config().namespace
    return await valkey.command("LLEN", f"{namespace}:jobs:sending")


async def test_a_wake_up_is_queued(valkey):
    await wake("send_chunk", "1", "2", queue="sending")
    assert await waiting(valkey) == 1


async def test_a_frozen_server_costs_half_a_second_and_then_nothing(valkey):
    await wake("send_chunk", "1", "2")
    valkey.freeze()
    assert await seconds(*(wake("send_chunk", "1", "2") for _ in range(50))) < MUCH_LESS
    assert await seconds(wake("send_chunk", "1", "2")) < MUCH_LESS
    assert await seconds(asyncio.to_thread(int)) < MUCH_LESS


async def test_after_a_pause_one_tries_and_then_all_get_through(valkey):
    await wake("send_chunk", "1", "2")
    valkey.freeze()
    await wake("send_chunk", "1", "2")
    await asyncio.sleep(broker.PAUSE_SECONDS)
    probe = asyncio.create_task(wake("send_chunk", "1", "2"))
    await asyncio.sleep(0.05)
    assert await seconds(*(wake("send_chunk", "1", "2") for _ in range(20))) < MUCH_LESS
    await probe
    valkey.thaw()
    await asyncio.sleep(broker.PAUSE_SECONDS)
    for no in range(5):
        await wake("send_chunk", "1", str(no), queue="sending")
    assert await waiting(valkey) == 5
