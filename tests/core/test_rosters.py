"""Lists of who is at something: what a follower sees when Redis is away, and when ticks are missed."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.ids import new_id
from core.lifetimes import Lifetime
from core.pubsub import hub
from core.rosters import Roster
from tests.core.valkey_server import configured

ADA, BOB = ("user:ada", "1"), ("user:bob", "2")
WAIT = 10


@pytest.fixture
async def own_hub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """A hub that belongs to the test's own Redis."""
    hub.cache_clear()
    yield
    await hub().disconnect()
    hub.cache_clear()


async def test_who_follows_while_redis_is_away_sees_it_when_it_is_back(
    own_hub: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    roster, of = Roster("things", lambda: 30.0), new_id()
    async with configured(monkeypatch) as server:
        lists = roster.follow(of)
        assert await anext(lists) == frozenset()
        await server.start()
        async with roster.held(of, ADA):
            assert await asyncio.wait_for(anext(lists), WAIT) == {ADA}
        await lists.aclose()
        await hub().disconnect()


async def test_an_entry_that_ends_unheard_ends_by_its_time(own_hub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    roster, of = Roster("things", lambda: 1.0), new_id()
    async with configured(monkeypatch) as server:
        await server.start()
        lists = roster.follow(of)
        assert await anext(lists) == frozenset()
        await roster.say(of, ADA)
        assert await asyncio.wait_for(anext(lists), WAIT) == {ADA}
        server.stop()
        assert await asyncio.wait_for(anext(lists), WAIT) == frozenset()
        await lists.aclose()
        await hub().disconnect()


async def test_lists_are_apart_and_what_ended_is_not_read(database: None) -> None:
    short, long, of = Roster("short", lambda: 0.05), Roster("long", lambda: 30.0), new_id()
    await short.say(of, ADA)
    await long.say(of, ADA)
    await long.say(of, BOB)
    await long.say(new_id(), BOB)
    await long.take_back(of, ADA)
    await asyncio.sleep(0.1)
    assert (await short.here(of), await long.here(of)) == (frozenset(), {BOB})


async def test_what_is_held_twice_stays_until_both_let_go(database: None) -> None:
    roster, of = Roster("things", lambda: 0.3), new_id()
    async with roster.held(of, ADA):
        async with roster.held(of, ADA):
            pass
        await asyncio.sleep(0.5)
        assert await roster.here(of) == {ADA}
    assert await roster.here(of) == frozenset()


async def test_the_end_of_a_lifetime_undoes_everything_once() -> None:
    undone: list[int] = []

    async def undo(number: int) -> None:
        undone.append(number)
        if number == 1:
            raise ValueError

    lifetime = Lifetime()
    for number in (1, 2, 3):
        await lifetime.keep(number, lambda number=number: undo(number))
    await lifetime.keep(2, lambda: undo(20))
    lifetime.forget(3)
    await lifetime.end()
    await lifetime.end()
    assert undone == [1, 20]
    await lifetime.keep(4, lambda: undo(4))
    assert undone == [1, 20, 4], "it was over"


async def test_a_lifetime_keeps_the_newest_fifty() -> None:
    undone: list[int] = []

    async def undo(number: int) -> None:
        undone.append(number)

    lifetime = Lifetime()
    for number in range(52):
        await lifetime.keep(number, lambda number=number: undo(number))
    assert undone == [0, 1]


@pytest.mark.parametrize("turns", range(6))
async def test_who_stops_following_as_something_comes_has_stopped(database: None, turns: int) -> None:
    roster, of = Roster("things", lambda: 30.0), new_id()
    await roster.say(of, ADA)
    lists = roster.follow(of)
    assert await anext(lists) == {ADA}
    following = asyncio.create_task(anext(lists))
    await asyncio.sleep(0.05)  # it waits now
    (subscription,) = (one for one in hub()._subscriptions() if one.topic == roster._topic(of))
    subscription.offer(roster._tick(of, ADA, 30_000))  # nothing new: who is not stopped waits on
    for _ in range(turns):
        await asyncio.sleep(0)
    following.cancel()
    await asyncio.wait([following], timeout=WAIT)
    assert following.cancelled()
    await lists.aclose()
