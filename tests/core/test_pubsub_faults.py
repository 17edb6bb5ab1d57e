import asyncio
from time import monotonic

import pytest

from core.pubsub import GAP, Hub, Tick, publish, publisher
from tests.core.bus import QUICK, take, ticks_through
from tests.core.valkey_server import configured, until


@pytest.fixture(autouse=True)
def nothing_owed():
    yield
    publisher._owed.clear()


@pytest.fixture
async def away(monkeypatch):
    async with configured(monkeypatch) as server:
        yield server


@pytest.fixture
async def valkey(away):
    await away.start()
    return away


@pytest.fixture
async def listening(valkey):
    """A connected hub with quick bounds."""
    made = Hub(bounds=QUICK)
    await made.connect()
    yield made
    await made.disconnect()


async def test_the_stream_recovers_when_the_server_was_gone_for_ten_seconds(valkey):
    made = Hub()
    async with made.subscribe("inbox:1") as inbox:
        valkey.stop()
        await asyncio.sleep(10)
        assert not made.connected
        await valkey.start()
        assert await take(inbox) is GAP
        await publish([Tick("inbox:1", {"n": 1})])
        assert await take(inbox) == Tick("inbox:1", {"n": 1})
    await made.disconnect()


async def test_a_killed_connection_gives_a_gap_and_then_ticks(listening, valkey):
    async with listening.subscribe("inbox:1") as inbox:
        assert await valkey.command("CLIENT", "KILL", "TYPE", "pubsub") == 1
        assert await take(inbox) is GAP
        await ticks_through(inbox, {"n": 1})


async def test_a_frozen_server_is_noticed_and_the_reader_rebuilt(listening, valkey):
    async with listening.subscribe("inbox:1") as inbox:
        frozen_at = monotonic()
        valkey.freeze()
        await until(lambda: not listening.connected)
        assert monotonic() - frozen_at < QUICK.silence + 2
        valkey.thaw()
        assert await take(inbox) is GAP
        await ticks_through(inbox, {"n": 1})


async def test_a_quiet_but_living_server_is_left_alone(listening, valkey):
    async with listening.subscribe("inbox:1") as inbox:
        before = await valkey.command("CLIENT", "LIST", "TYPE", "pubsub")
        await asyncio.sleep(3 * QUICK.silence)
        after = await valkey.command("CLIENT", "LIST", "TYPE", "pubsub")
        assert before.split()[0] == after.split()[0]
        assert inbox.drain() == []


async def test_a_server_absent_at_boot_is_found_later(away):
    made = Hub(bounds=QUICK)
    started_at = monotonic()
    await made.connect()
    assert monotonic() - started_at < 1
    async with made.subscribe("inbox:1") as inbox:
        await away.start()
        assert await take(inbox) is GAP
        await ticks_through(inbox, {"n": 1})
    await made.disconnect()


async def test_connecting_to_a_frozen_server_ends_in_time(valkey):
    valkey.freeze()
    made = Hub(bounds=QUICK)
    started_at = monotonic()
    await made.connect()
    assert monotonic() - started_at < QUICK.patience + 2
    await made.disconnect()
    valkey.thaw()


async def test_publishing_without_a_server_returns_and_does_not_raise(away):
    started_at = monotonic()
    await publish([Tick("inbox:1")])
    assert monotonic() - started_at < 1


async def test_publishing_to_a_frozen_server_is_bounded_and_then_fails_at_once(valkey):
    await publish([Tick("inbox:1")])
    valkey.freeze()
    started_at = monotonic()
    await asyncio.gather(*(publish([Tick("inbox:1")]) for _ in range(50)))
    assert monotonic() - started_at < 3
    started_at = monotonic()
    await publish([Tick("inbox:1")])
    assert monotonic() - started_at < 0.5
    valkey.thaw()


async def test_after_dropped_ticks_the_next_publish_tells_of_the_gap(valkey):
    await publish([Tick("inbox:1")])
    valkey.stop()
    await publish([Tick("inbox:1", {"n": 1})])
    await valkey.start()
    made = Hub(bounds=QUICK)
    async with made.subscribe("inbox:1") as inbox:
        await publish([Tick("inbox:1", {"n": 2})])
        assert [await take(inbox), await take(inbox)] == [GAP, Tick("inbox:1", {"n": 2})]
        await publish([Tick("inbox:1", {"n": 3})])
        assert await take(inbox) == Tick("inbox:1", {"n": 3})
    await made.disconnect()


async def test_a_connect_that_is_cancelled_leaves_no_task(valkey):
    valkey.freeze()
    made = Hub()
    before = asyncio.all_tasks()
    connecting = asyncio.create_task(made.connect())
    await until(lambda: len(asyncio.all_tasks() - before) == 2)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert asyncio.all_tasks() <= before
    valkey.thaw()
