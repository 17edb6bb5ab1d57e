import asyncio
import random
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from core import redis_client
from core.pubsub import GAP, Bounds, Closed, Hub, Tick, hub, publish
from core.pubsub.backend import RedisBackend
from core.pubsub.wire import GAP_MESSAGE, SHARDS, channel_of, decode, encode, shard_of
from tests.core.bus import QUICK, take, ticks_through
from tests.core.valkey_server import configured, until


@pytest.fixture
async def valkey(monkeypatch):
    async with configured(monkeypatch) as server:
        await server.start()
        yield server


@pytest.fixture
async def listening(valkey):
    """A connected hub with quick bounds."""
    made = Hub(bounds=QUICK)
    await made.connect()
    yield made
    await made.disconnect()


async def test_the_first_subscriber_receives(valkey):
    made = Hub()
    async with made.subscribe("inbox:1") as inbox:
        await publish([Tick("inbox:1", {"id": 7})])
        assert await take(inbox) == Tick("inbox:1", {"id": 7})
    await made.disconnect()


async def test_two_first_subscribers_at_once_both_receive(valkey):
    made = Hub()
    ready = asyncio.Semaphore(0)

    async def receive_one():
        async with made.subscribe("inbox:1") as inbox:
            ready.release()
            return await take(inbox)

    receiving = [asyncio.create_task(receive_one()) for _ in range(2)]
    for _ in receiving:
        await ready.acquire()
    await publish([Tick("inbox:1")])
    assert await asyncio.gather(*receiving) == [Tick("inbox:1")] * 2
    await made.disconnect()


async def test_two_processes_receive_and_a_third_that_never_listens_publishes(listening):
    other = Hub(bounds=QUICK)
    async with listening.subscribe("inbox:1") as here, other.subscribe("inbox:1") as there:
        await asyncio.to_thread(asyncio.run, _publish_and_close(Tick("inbox:1", {"n": 1})))
        assert await take(here) == await take(there) == Tick("inbox:1", {"n": 1})
    await other.disconnect()


async def _publish_and_close(tick):
    await publish([tick])
    await redis_client.close()


async def test_overflow_is_one_gap_and_bounded_and_costs_the_others_nothing(valkey):
    made = Hub(capacity=64)
    async with made.subscribe("inbox:1") as slow, made.subscribe("inbox:1") as quick:
        received = []
        for start in range(0, 1000, 50):
            await publish([Tick("inbox:1", {"n": n}) for n in range(start, start + 50)])
            received += [await take(quick) for _ in range(50)]
        assert [tick.data["n"] for tick in received] == list(range(1000))
        assert len(slow) <= 64
        left = slow.drain()
    assert left[0] is GAP
    assert left.count(GAP) == 1
    assert left[-1] == Tick("inbox:1", {"n": 999})
    await made.disconnect()


async def test_overflow_between_reader_and_hub_is_one_gap_for_every_channel(valkey):
    bounds = Bounds(queue=20)
    channels = [channel_of(shard) for shard in range(SHARDS)]
    backend = RedisBackend(valkey.url, channels, bounds)
    await backend.connect()
    for number in range(25):
        await backend.publish(channels[0], str(number))
    await until(lambda: [event.message for event in backend._events._items][-1] == "24")
    assert len(backend._events) <= bounds.queue
    events = [await backend.next_published() for _ in range(len(backend._events))]
    assert [event.channel for event in events if event.message == GAP_MESSAGE] == channels
    await backend.disconnect()


async def test_topics_without_subscribers_are_not_kept(listening):
    async def come_and_go(number):
        async with listening.subscribe(f"inbox:{number % 50}"):
            await asyncio.sleep(0)
            raise LookupError

    outcomes = await asyncio.gather(*(come_and_go(n) for n in range(500)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {LookupError}
    assert listening.topics == 0


async def test_a_topic_stays_while_one_subscriber_does(listening):
    async with listening.subscribe("inbox:1") as stays:
        async with listening.subscribe("inbox:1"):
            pass
        assert listening.topics == 1
        await ticks_through(stays, {})


async def test_everyone_gets_all_of_their_own_topic_in_order(listening):
    topics = [f"noun:{uuid4()}" for _ in range(200)]
    assert {shard_of(topic) for topic in topics} == set(range(SHARDS))
    sent = [Tick(random.choice(topics), {"n": n}) for n in range(2000)]
    async with AsyncExitStack() as stack:
        subscriptions = [await stack.enter_async_context(listening.subscribe(topic)) for topic in topics * 2]
        position = 0
        while position < len(sent):
            size = random.randint(1, 300)
            await publish(sent[position : position + size])
            position += size
        for subscription in subscriptions:
            expected = [tick for tick in sent if tick.topic == subscription.topic]
            assert [await take(subscription) for _ in expected] == expected
        assert all(subscription.drain() == [] for subscription in subscriptions)


async def test_disconnect_leaves_no_task_and_connect_may_follow(valkey):
    made = Hub(bounds=QUICK)
    before = asyncio.all_tasks()
    for _ in range(2):
        await asyncio.gather(made.connect(), made.connect())
        started = asyncio.all_tasks() - before
        assert len(started) == SHARDS + 3
        assert all(task.get_name().startswith("pubsub-") for task in started)
        await made.disconnect()
        assert asyncio.all_tasks() <= before
        assert not made.connected
    await made.disconnect()


async def test_subscriptions_end_with_their_hub(valkey):
    made = Hub(bounds=QUICK)
    async with made.subscribe("inbox:1") as inbox:
        reading = asyncio.create_task(_read_all(inbox))
        await publish([Tick("inbox:1", {"n": 1}), Tick("inbox:1", {"n": 2})])
        await until(lambda: len(inbox) == 0)
        await made.disconnect()
        assert len(await asyncio.wait_for(reading, 2)) <= 2
        with pytest.raises(Closed):
            await inbox.get()
    assert made.topics == 0


async def _read_all(subscription):
    return [item async for item in subscription]


async def test_drain_takes_what_is_queued(listening):
    async with listening.subscribe("inbox:1") as inbox:
        await publish([Tick("inbox:1", {"n": n}) for n in range(5)])
        first = await take(inbox)
        assert [first, *inbox.drain()] == [Tick("inbox:1", {"n": n}) for n in range(5)]
        assert inbox.drain() == []


async def test_a_message_nobody_understands_is_a_gap_and_harms_nothing(listening):
    async with listening.subscribe("inbox:1") as inbox:
        channel = channel_of(shard_of("inbox:1"))
        for garbage in (b"\xff\xfe", b"{}x", b'[["a"]]', b"[1]"):
            async with redis_client.reach() as redis:
                await redis.publish(channel, garbage)
            assert await take(inbox) is GAP
        await ticks_through(inbox, {"n": 1})


def test_the_hub_of_the_process_is_one():
    assert hub() is hub()


def test_ticks_survive_the_wire():
    ticks = [Tick("a:1", {"id": str(uuid4()), "n": 1}), Tick("b:2")]
    decoded = [tick for message in encode(ticks).values() for tick in decode(message.decode())]
    assert sorted(decoded, key=lambda tick: tick.topic) == ticks


def test_what_json_does_not_know_is_refused():
    with pytest.raises(TypeError):
        encode([Tick("a:1", {"bad": object()})])
