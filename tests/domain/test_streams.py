"""Event streams: numbers without gaps in the order of the commits, and following them without loss."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from core.database import transaction
from core.errors import DomainError
from core.ids import new_id
from core.pubsub import Closed, hub
from domain import facts
from domain.principals import SYSTEM
from domain.streams import following, reading
from domain.streams.following import Follower, follow
from domain.streams.moments import Resync
from models.contacts import Contact
from models.facts import FactKind
from models.streams import Stream, StreamEvent
from tests.support.factories import Team
from tests.support.statements import recorded
from tests.support.waiting import until, waits_for_a_lock


def stream_of() -> str:
    return f"thing:{new_id()}"


async def happen(team: Team, *streams: str, count: int = 1, **data: Any) -> None:
    """`count` facts in one transaction."""
    async with transaction() as session:
        for no in range(count):
            thing = Contact(id=new_id(), app_id=team.app_id)
            facts.record(session, SYSTEM, FactKind.CONTACT_UPDATED, thing, streams=streams, no=no, **data)


async def events(team: Team, stream: str, after: int = 0) -> list[StreamEvent]:
    async with transaction() as session:
        return (await reading.read(session, team.app_id, stream, after, limit=10_000)).events


async def test_an_event_is_the_fact_under_the_next_number_of_each_stream(team: Team) -> None:
    one, other = stream_of(), stream_of()
    await happen(team, one, count=2)
    await happen(team, other, one, status="OPEN")
    assert [event.seq for event in await events(team, one)] == [1, 2, 3]
    (seen,) = await events(team, other)
    assert (seen.seq, seen.kind, seen.actor, seen.data) == (
        1,
        FactKind.CONTACT_UPDATED,
        "system",
        {"no": 0, "status": "OPEN"},
    )
    async with transaction() as session:
        assert await reading.head(session, team.app_id, one) == 3
        assert await reading.oldest(session, team.app_id, one) == 1
        assert await reading.head(session, new_id(), one) == 0
        assert await reading.oldest(session, team.app_id, stream_of()) is None


async def test_what_is_rolled_back_takes_no_number(team: Team) -> None:
    stream = stream_of()
    async with transaction() as session:
        facts.record(session, SYSTEM, FactKind.CONTACT_UPDATED, a_contact(team), streams=[stream])
        await session.rollback()
    async with transaction() as session:
        tried = await session.begin_nested()
        facts.record(session, SYSTEM, FactKind.CONTACT_UPDATED, a_contact(team), streams=[stream])
        await tried.rollback()
        facts.record(session, SYSTEM, FactKind.CONTACT_CREATED, a_contact(team), streams=[stream])
    assert [(event.seq, event.kind) for event in await events(team, stream)] == [(1, FactKind.CONTACT_CREATED)]


def a_contact(team: Team) -> Contact:
    return Contact(id=new_id(), app_id=team.app_id)


async def test_all_streams_of_a_transaction_are_counted_by_its_last_statement(team: Team) -> None:
    streams = [stream_of() for _ in range(3)]
    with recorded() as statements:
        await happen(team, *streams, count=5)
    assert [no for no, text in enumerate(statements) if "INSERT INTO streams" in text] == [len(statements) - 1]


async def test_many_writers_leave_no_gap_and_number_in_the_order_of_their_commits(team: Team) -> None:
    """Whoever looks meanwhile sees a beginning of what comes out in the end."""
    shared, chance = [stream_of() for _ in range(3)], random.Random(5)
    seen: list[list[tuple[int, Any]]] = []

    async def write(no: int) -> None:
        for turn in range(10):
            await happen(team, *chance.sample(shared, 2), count=chance.randint(1, 3), writer=no, turn=turn)

    async def look() -> None:
        while True:
            seen.append([(event.seq, event.entity_id) for event in await events(team, shared[0])])
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    await asyncio.gather(*(write(no) for no in range(8)))
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    for stream in shared:
        found = await events(team, stream)
        assert [event.seq for event in found] == list(range(1, len(found) + 1))
        turns = [(event.data["writer"], event.data["turn"], event.data["no"]) for event in found]
        for no in range(8):
            own = [turn for turn in turns if turn[0] == no]
            assert own == sorted(own)
    whole = [(event.seq, event.entity_id) for event in await events(team, shared[0])]
    assert len(seen) > 1
    assert all(part == whole[: len(part)] for part in seen)


async def test_a_stream_is_locked_only_while_the_transaction_commits(team: Team) -> None:
    stream = stream_of()
    await happen(team, stream)
    async with transaction() as session:
        facts.record(session, SYSTEM, FactKind.CONTACT_UPDATED, a_contact(team), streams=[stream], slow=True)
        await session.flush()
        await happen(team, stream, slow=False)
    assert [event.data.get("slow") for event in await events(team, stream)] == [None, False, True]


async def test_who_counts_waits_for_the_commit_before(team: Team) -> None:
    stream = stream_of()
    async with transaction() as session:
        session.add(Stream(app_id=team.app_id, name=stream, head=1))
        await session.flush()
        waiting = asyncio.create_task(happen(team, stream))
        await until(waits_for_a_lock)
    await waiting
    assert [event.seq for event in await events(team, stream)] == [2]


@asynccontextmanager
async def followed(team: Team, stream: str, at: int | None = None) -> AsyncIterator[Follower]:
    async with follow(team.app_id, stream) as follower:
        follower.at = follower.at if at is None else at
        yield follower


async def told(follower: Follower, count: int) -> list[int]:
    """The numbers of the next events, as many as asked or more."""
    seen: list[int] = []
    while len(seen) < count:
        news = await asyncio.wait_for(follower.news(), 10)
        assert not isinstance(news, Resync)
        seen += [event.seq for event in news]
    return seen


async def test_who_follows_is_told_what_comes_and_from_where_they_like(team: Team) -> None:
    stream = stream_of()
    await happen(team, stream, count=3)
    async with followed(team, stream) as new, followed(team, stream, at=1) as back:
        assert (new.behind, back.behind) == (False, True)
        await happen(team, stream)
        assert await told(new, 1) == [4]
        assert await told(back, 3) == [2, 3, 4]


async def test_all_followers_get_the_same_objects_which_are_read_once(team: Team) -> None:
    stream = stream_of()
    async with followed(team, stream) as one, followed(team, stream) as other:
        with recorded() as statements:
            await happen(team, stream)
            (mine,), (theirs,) = await asyncio.gather(one.news(), other.news())
        assert mine is theirs
        assert len([text for text in statements if "FROM unnest" in text and "JOIN LATERAL" in text]) <= 2
    assert following._readers == {}


async def test_a_lost_tick_costs_a_look(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.1)
    stream = stream_of()
    async with followed(team, stream) as follower:
        monkeypatch.setattr("domain.streams.writing.topic", lambda _: "elsewhere")
        await happen(team, stream)
        assert await told(follower, 1) == [1]


async def test_a_reader_survives_a_database_that_is_away(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "AGAIN_SECONDS", 0.01)
    stream, ask, failures = stream_of(), reading.slices.ask, iter(range(3))

    async def fail_at_first(asking: Any) -> Any:
        if next(failures, None) is not None:
            raise DomainError("away")
        return await ask(asking)

    async with followed(team, stream) as follower:
        monkeypatch.setattr(reading.slices, "ask", fail_at_first)
        await happen(team, stream)
        assert await told(follower, 1) == [1]


@pytest.mark.parametrize(("at", "kept", "resync"), [(1, 2, True), (2, 2, False), (9, 2, True), (0, 0, True)])
async def test_what_is_not_kept_or_never_was_is_told_as_resync(team: Team, at: int, kept: int, resync: bool) -> None:
    stream = stream_of()
    await happen(team, stream, count=4)
    async with transaction() as session:
        gone = sa.select(Stream.id).where(Stream.name == stream).scalar_subquery()
        await session.execute(sa.delete(StreamEvent).where(StreamEvent.stream_id == gone, StreamEvent.seq <= 4 - kept))
    async with followed(team, stream, at) as follower:
        news = await asyncio.wait_for(follower.news(), 10)
        assert isinstance(news, Resync) == resync
        if isinstance(news, Resync):
            assert news.seq == 4
        await happen(team, stream)
        assert await told(follower, 1) == [5]


async def test_a_hole_in_what_is_kept_is_told_as_resync(team: Team) -> None:
    stream = stream_of()
    await happen(team, stream, count=5)
    async with transaction() as session:
        hole = sa.select(Stream.id).where(Stream.name == stream).scalar_subquery()
        await session.execute(sa.delete(StreamEvent).where(StreamEvent.stream_id == hole, StreamEvent.seq == 3))
    async with followed(team, stream, at=1) as follower:
        assert isinstance(await asyncio.wait_for(follower.news(), 10), Resync)


async def test_one_who_falls_too_far_behind_is_told_to_resync_and_others_are_unhurt(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "RING", 3)
    monkeypatch.setattr(following, "MOST_BEHIND", 5)
    stream = stream_of()
    async with followed(team, stream) as slow, followed(team, stream) as quick:
        for count in (2, 2, 2):
            await happen(team, stream, count=count)
            await told(quick, count)
        assert isinstance(await slow.news(), Resync)
        await happen(team, stream)
        assert (await told(slow, 1), await told(quick, 1)) == ([7], [7])


async def test_followers_who_come_and_go_miss_nothing_and_get_nothing_twice(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While writers go on, at random moments, over a ring that is too small."""
    monkeypatch.setattr(following, "RING", 4)
    monkeypatch.setattr(reading, "PAGE", 3)
    stream, chance, total = stream_of(), random.Random(7), 120

    async def write(no: int) -> None:
        for _ in range(total // 4):
            await happen(team, stream, writer=no)
            await asyncio.sleep(chance.random() / 200)

    async def watch() -> list[int]:
        seen: list[int] = []
        while len(seen) < total:
            async with followed(team, stream, at=len(seen)) as follower:
                for _ in range(chance.randint(1, 6)):
                    if len(seen) < total:
                        seen += await told(follower, 1)
        return seen

    watching = [asyncio.create_task(watch()) for _ in range(5)]
    await asyncio.gather(*(write(no) for no in range(4)))
    assert await asyncio.gather(*watching) == [list(range(1, total + 1))] * 5


async def test_followers_end_when_the_hub_does(team: Team) -> None:
    async with followed(team, stream_of()) as follower:
        waiting = asyncio.create_task(follower.news())
        await asyncio.sleep(0)
        await hub().disconnect()
        with pytest.raises(Closed):
            await waiting
