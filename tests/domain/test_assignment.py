"""Who answers which conversation: by hand, in turn, by load, from the queue. F5."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine

from core.clock import now
from core.database import transaction
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.lifetimes import Lifetime
from core.redis_client import RedisAway
from domain import presence
from domain.conversations import control as conversations
from domain.conversations import opening
from domain.conversations.assignment import control, history, members, queueing, settings, waking
from domain.conversations.assignment.control import Held
from domain.pages import PageRequest
from domain.principals import Principal
from domain.team import members as team_members
from models.assignment import AssignmentMode, AssignmentReason
from models.channels import ChannelKind
from models.conversations import Conversation, ConversationStatus, Priority
from models.facts import Fact, FactKind
from models.team import Membership, Role
from tests.support import factories, inbox
from tests.support.factories import Team
from tests.support.inbox import Line
from tests.support.waiting import until, waits_for_a_lock

MANUAL, ROUND_ROBIN, BALANCED, QUEUE, REOPENED, UNASSIGNED, OFFLINE = AssignmentReason
WHOLE = PageRequest(first=100)


class Desk:
    """An app that assigns, with people who come and go."""

    def __init__(self, team: Team) -> None:
        self.team, self.owner = team, factories.principal(team)
        self._here: dict[UUID, Lifetime] = {}

    async def comes(self, *people: Principal) -> None:
        for one in people:
            lifetime = self._here[one.person()] = Lifetime()
            await presence.arrive(one, lifetime)

    async def goes(self, *people: Principal) -> None:
        for one in people:
            await self._here.pop(one.person()).end()

    async def leave(self) -> None:
        for lifetime in self._here.values():
            await lifetime.end()

    async def agent(self, *, capacity: int | None = None, here: bool = True) -> Principal:
        """Somebody more, who is there unless said otherwise."""
        one = factories.principal(await factories.team(Role.AGENT, self.team.app_id))
        await self.values(one, capacity=capacity)
        if here:
            await self.comes(one)
        return one

    async def values(self, one: Principal, **values: object) -> None:
        async with transaction() as session:
            theirs = (Membership.app_id == one.app_id, Membership.user_id == one.user_id)
            await session.execute(sa.update(Membership).where(*theirs).values(values))

    async def member_id(self, one: Principal) -> UUID:
        async with transaction() as session:
            return (await session.scalars(sa.select(Membership.id).where(Membership.user_id == one.user_id))).one()

    async def set(self, mode: AssignmentMode, capacity: int = 20, requeue: int | None = 10) -> None:
        changes = settings.AssignmentSettings(
            assignment_mode=mode, agent_capacity=capacity, requeue_after_minutes=requeue
        )
        async with transaction() as session:
            await settings.update(session, self.owner, changes)

    async def line(self) -> Line:
        return await inbox.line(self.team)

    async def opened(self, count: int = 1) -> list[UUID]:
        """New conversations, one after the other."""
        lines = [await self.line() for _ in range(count)]
        return [(await one.says()).conversation_id for one in lines]

    async def assign(self, id_: UUID, to: Principal | None, expected: Held | None = None) -> Conversation:
        async with transaction() as session:
            if to is None:
                return await control.unassign(session, self.owner, id_, expected=expected)
            return await control.assign(session, self.owner, id_, to.person(), expected=expected)

    async def resolve(self, id_: UUID) -> None:
        async with transaction() as session:
            await conversations.resolve(session, self.owner, id_)

    async def drain(self) -> int:
        async with transaction() as session:
            return await queueing.drain(session, self.team.app_id)

    async def has(self, *ids: UUID) -> list[UUID | None]:
        """Who answers each."""
        return [(await inbox.conversation(self.team, id_)).assignee_id for id_ in ids]

    async def loads(self) -> Counter[UUID]:
        """How many open conversations each answers."""
        rows = await inbox.conversations(self.team)
        return Counter(row.assignee_id for row in rows if row.assignee_id and row.status is ConversationStatus.OPEN)

    async def queue(self) -> list[UUID]:
        return [row.id for row in await inbox.conversations(self.team) if row.queued_at]

    async def told(self, id_: UUID) -> list[tuple[UUID | None, UUID | None, AssignmentReason, str]]:
        """The history: from whom to whom, why, by whom."""
        async with transaction() as session:
            found = await history.pages(session, [(id_, WHOLE)])
        return [(one.from_id, one.to_id, one.reason, one.actor) for one in found[id_, WHOLE].rows]

    async def facts(self, id_: UUID) -> list[FactKind]:
        kinds = (FactKind.CONVERSATION_ASSIGNED, FactKind.CONVERSATION_UNASSIGNED, FactKind.CONVERSATION_QUEUED)
        rows = sa.select(Fact.kind).where(Fact.entity_id == id_, Fact.kind.in_(kinds)).order_by(Fact.id)
        async with transaction() as session:
            return list(await session.scalars(rows))


@pytest.fixture
async def desk(database: None) -> AsyncIterator[Desk]:
    desk = Desk(await factories.team())
    yield desk
    await desk.leave()


def user(one: Principal) -> str:
    return f"user:{one.user_id}"


# By hand


async def test_by_hand_anybody_of_the_team_can_be_given_whatever_they_have(desk: Desk) -> None:
    away = await desk.agent(capacity=0, here=False)
    (id_,) = await desk.opened()
    assert await desk.queue() == [id_]
    row = await desk.assign(id_, away)
    assert (row.assignee_id, row.queued_at, row.version) == (away.user_id, None, 3)
    await desk.assign(id_, away)
    await desk.assign(id_, None)
    assert await desk.queue() == [id_]
    assert await desk.told(id_) == [
        (None, away.user_id, MANUAL, user(desk.owner)),
        (away.user_id, None, UNASSIGNED, user(desk.owner)),
    ]
    assert await desk.facts(id_) == [FactKind.CONVERSATION_ASSIGNED, FactKind.CONVERSATION_UNASSIGNED]


async def test_nobody_of_another_team_can_be_given_anything(desk: Desk) -> None:
    (id_,) = await desk.opened()
    with pytest.raises(Invalid):
        await desk.assign(id_, factories.principal(await factories.team()))
    stranger = Desk(await factories.team())
    with pytest.raises(NotFound):
        await stranger.assign(id_, stranger.owner)
    assert await desk.told(id_) == []


async def test_who_is_wrong_about_who_has_it_changes_nothing_and_is_told(desk: Desk) -> None:
    one, (id_,) = await desk.agent(), await desk.opened()
    assert (await desk.assign(id_, one, Held(None))).assignee_id == one.user_id
    for to in (desk.owner, None):
        with pytest.raises(Conflict, match="Bob answers") as refused:
            await desk.assign(id_, to, Held(None))
        assert refused.value.found["conversation"].assignee_id == one.user_id
    assert (await desk.assign(id_, None, Held(one.user_id))).assignee_id is None


async def test_of_many_who_assign_one_conversation_at_once_the_first_wins(desk: Desk) -> None:
    people = [await desk.agent() for _ in range(6)]
    (id_,) = await desk.opened()
    done = await asyncio.gather(*(desk.assign(id_, one, Held(None)) for one in people), return_exceptions=True)
    (won,) = (one for one in done if isinstance(one, Conversation))
    assert [type(one) for one in done if one is not won] == [control.Taken] * 5
    assert [entry[:2] for entry in await desk.told(id_)] == [(None, won.assignee_id)]


async def test_those_who_take_the_next_at_once_get_different_ones(desk: Desk) -> None:
    people, ids = [await desk.agent() for _ in range(4)], await desk.opened(3)

    async def take(one: Principal) -> Conversation | None:
        async with transaction() as session:
            return await control.take_next(session, one)

    taken = await asyncio.gather(*map(take, people))
    assert {one.id for one in taken if one} == set(ids)
    assert taken.count(None) == 1
    assert await desk.queue() == []
    assert [entry[2] for id_ in ids for entry in await desk.told(id_)] == [QUEUE] * 3


async def test_who_begins_a_conversation_answers_it(desk: Desk) -> None:
    await desk.set(AssignmentMode.BALANCED)
    await desk.agent()
    beginner, line = await desk.agent(capacity=0, here=False), await desk.line()
    async with transaction() as session:
        row = await opening.open_or_find(session, beginner, line.contact_id, ChannelKind.IN_APP)
    assert (row.assignee_id, row.queued_at) == (beginner.user_id, None)
    assert [entry[2:] for entry in await desk.told(row.id)] == [(MANUAL, user(beginner))]


# In turn and by load


async def test_in_turn_everybody_who_is_free_gets_as_many(desk: Desk) -> None:
    await desk.set(AssignmentMode.ROUND_ROBIN)
    people = [await desk.agent() for _ in range(3)]
    await desk.agent(here=False)
    await desk.values(await desk.agent(), is_away=True)
    ids = await desk.opened(7)
    got = await desk.has(*ids)
    assert set(got[:3]) == {one.user_id for one in people}
    assert got == [got[no % 3] for no in range(7)]
    assert await desk.told(ids[0]) == [(None, got[0], ROUND_ROBIN, "system")]
    assert await desk.facts(ids[0]) == [FactKind.CONVERSATION_ASSIGNED]


async def test_by_load_who_has_the_fewest_gets_the_next(desk: Desk) -> None:
    busy, idle = await desk.agent(), await desk.agent()
    for id_ in await desk.opened(2):
        await desk.assign(id_, busy)
    await desk.set(AssignmentMode.BALANCED)
    ids = await desk.opened(3)
    assert (await desk.has(*ids))[:2] == [idle.user_id, idle.user_id]
    # both have two then: it is the turn of who has waited longer
    assert (await desk.has(*ids))[2] == busy.user_id
    assert [entry[2] for entry in await desk.told(ids[0])] == [BALANCED]


async def test_what_nobody_can_take_waits_the_most_urgent_first_then_by_its_wait(desk: Desk) -> None:
    await desk.set(AssignmentMode.BALANCED, capacity=1)
    one = await desk.agent()
    first, second, third, fourth = await desk.opened(4)
    assert await desk.has(first, second, third, fourth) == [one.user_id, None, None, None]
    assert await desk.facts(second) == [FactKind.CONVERSATION_QUEUED]
    async with transaction() as session:
        await conversations.prioritise(session, desk.owner, fourth, Priority.URGENT)
    for done, next_ in pairwise((first, fourth, second, third)):
        await desk.resolve(done)
        assert await desk.drain() == 1
        assert await desk.has(next_) == [one.user_id]
    assert (await desk.drain(), await desk.queue()) == (0, [])
    assert await desk.told(fourth) == [(None, one.user_id, QUEUE, "system")]


async def test_who_comes_new_waits_behind_the_queue(desk: Desk) -> None:
    await desk.set(AssignmentMode.ROUND_ROBIN)
    (waits,) = await desk.opened()
    one = await desk.agent(capacity=1)
    (new,) = await desk.opened()
    assert await desk.has(waits, new) == [None, None]
    assert await desk.drain() == 1
    assert await desk.has(waits, new) == [one.user_id, None]


async def test_who_gave_it_back_does_not_get_it_again(desk: Desk) -> None:
    await desk.set(AssignmentMode.BALANCED)
    one = await desk.agent()
    (id_,) = await desk.opened()
    await desk.assign(id_, None)
    assert (await desk.drain(), await desk.has(id_)) == (0, [None])
    other = await desk.agent()
    assert (await desk.drain(), await desk.has(id_)) == (1, [other.user_id])
    assert one.user_id != other.user_id


@pytest.mark.parametrize("status", [ConversationStatus.RESOLVED, ConversationStatus.SNOOZED])
async def test_what_comes_back_stays_with_who_had_it_if_they_can_take_it(
    desk: Desk, status: ConversationStatus
) -> None:
    await desk.set(AssignmentMode.BALANCED, capacity=1)
    one, line = await desk.agent(), await desk.line()
    id_ = (await line.says()).conversation_id
    other = await desk.agent()

    async def away() -> None:
        async with transaction() as session:
            if status is ConversationStatus.RESOLVED:
                await conversations.resolve(session, desk.owner, id_)
            else:
                await conversations.snooze(session, desk.owner, id_, now() + timedelta(hours=1))

    await away()
    await line.says("And?")
    assert await desk.has(id_) == [one.user_id]
    await away()
    await desk.assign((await desk.opened())[0], one)
    await line.says("Hello?")
    assert await desk.has(id_) == [other.user_id]
    assert (await desk.told(id_))[1:] == [(one.user_id, other.user_id, REOPENED, "system")]
    await away()
    await desk.values(other, is_away=True)
    await line.says("Anybody?")
    assert (await desk.has(id_), await desk.queue()) == ([None], [id_])
    assert (await desk.told(id_))[2:] == [(other.user_id, None, REOPENED, "system")]


async def test_who_takes_their_own_up_again_keeps_it_however_much_they_have(desk: Desk) -> None:
    await desk.set(AssignmentMode.BALANCED, capacity=1)
    one = await desk.agent()
    (id_,) = await desk.opened()
    for set_aside in (conversations.resolve, conversations.set_aside):
        async with transaction() as session:
            await set_aside(session, one, id_)
        await desk.values(one, capacity=0)
        async with transaction() as session:
            await conversations.reopen(session, one, id_)
        assert await desk.has(id_) == [one.user_id]


async def test_what_is_put_away_leaves_the_queue_and_comes_back_to_it(desk: Desk) -> None:
    (id_,) = await desk.opened()
    async with transaction() as session:
        await conversations.set_aside(session, desk.owner, id_)
    assert await desk.queue() == []
    async with transaction() as session:
        await conversations.reopen(session, desk.owner, id_)
    assert await desk.queue() == [id_]


async def test_who_leaves_the_team_leaves_their_conversations_to_the_queue(desk: Desk) -> None:
    one = await desk.agent()
    ids = await desk.opened(3)
    for id_ in ids:
        await desk.assign(id_, one)
    await desk.resolve(ids[2])
    async with transaction() as session:
        await team_members.remove(session, desk.owner, await desk.member_id(one))
    assert (await desk.has(*ids), await desk.queue()) == ([None, None, one.user_id], ids[:2])
    async with transaction() as session:
        await conversations.reopen(session, desk.owner, ids[2])
    assert (await desk.has(ids[2]), await desk.queue()) == ([None], ids)
    with pytest.raises(Forbidden):
        async with transaction() as session:
            await control.take_next(session, one)


# At once


@pytest.mark.parametrize("mode", [AssignmentMode.ROUND_ROBIN, AssignmentMode.BALANCED])
async def test_many_that_open_at_once_never_exceed_what_anybody_can_take(desk: Desk, mode: AssignmentMode) -> None:
    await desk.set(mode)
    people = [await desk.agent(capacity=no) for no in range(5)]
    lines = [await desk.line() for _ in range(16)]
    await asyncio.gather(*(one.says() for one in lines))
    await queueing.drain_all(desk.team.app_id)
    assert await desk.loads() == Counter({one.user_id: no for no, one in enumerate(people)})
    assert len(await desk.queue()) == 6


async def test_who_chooses_waits_for_who_chooses_and_sees_what_they_gave(desk: Desk) -> None:
    await desk.set(AssignmentMode.BALANCED, capacity=1)
    people, (id_,) = [await desk.agent() for _ in range(2)], await desk.opened()
    (first,) = await desk.has(id_)
    await desk.resolve(id_)
    async with transaction() as session:
        await conversations.reopen(session, desk.owner, id_)
        later = asyncio.create_task((await desk.line()).says())
        await until(waits_for_a_lock)
    assert await desk.has(id_, (await later).conversation_id) == [
        first,
        next(one.user_id for one in people if one.user_id != first),
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_at_once_capacity_holds_and_nothing_gets_lost(desk: Desk, seed: int) -> None:
    """Opening, resolving, reopening, coming, going, draining and tending, all at once, by several connections."""
    chance = random.Random(seed)
    await desk.set(AssignmentMode.BALANCED, capacity=2)
    people, lines = [await desk.agent() for _ in range(3)], [await desk.line() for _ in range(12)]

    async def act(line: Line) -> None:
        for _ in range(3):
            id_ = (await line.says()).conversation_id
            await asyncio.sleep(chance.random() / 50)
            if chance.random() < 0.6:
                await desk.resolve(id_)

    async def tend() -> None:
        for _ in range(6):
            await queueing.tend(desk.team.app_id)
            assert max((await desk.loads()).values(), default=0) <= 2

    await asyncio.gather(*map(act, lines), tend(), tend())
    await queueing.drain_all(desk.team.app_id)
    rows = [row for row in await inbox.conversations(desk.team) if row.status is ConversationStatus.OPEN]
    assert sum((await desk.loads()).values()) == min(len(rows), 2 * len(people))
    assert all((row.assignee_id is None) == (row.queued_at is not None) for row in rows)
    for row in rows:
        told = await desk.told(row.id)
        assert all(before[1] == after[0] for before, after in pairwise(told))
        assert (told[-1][1] if told else None) == row.assignee_id


async def test_assigning_by_hand_draining_and_removing_at_once_is_no_deadlock(desk: Desk) -> None:
    await desk.set(AssignmentMode.BALANCED, capacity=50)
    people = [await desk.agent() for _ in range(4)]
    ids = await desk.opened(12)

    async def hands(offset: int) -> None:
        for no, id_ in enumerate(ids):
            try:
                await desk.assign(id_, people[(no + offset) % 4] if no % 3 else None)
            except Invalid:
                assert people[(no + offset) % 4] is people[0]

    async def removal() -> None:
        id_ = await desk.member_id(people[0])
        async with transaction() as session:
            await team_members.remove(session, desk.owner, id_)

    tends = (queueing.tend(desk.team.app_id) for _ in range(4))
    await asyncio.gather(hands(0), hands(1), hands(2), removal(), *tends)
    await queueing.drain_all(desk.team.app_id)
    assert people[0].user_id not in await desk.has(*ids)


# Coming and going


async def test_who_is_gone_too_long_loses_those_who_wait(desk: Desk) -> None:
    await desk.set(AssignmentMode.BALANCED, requeue=5)
    gone = await desk.agent()
    waits, answered = await desk.line(), await desk.line()
    ids = [(await waits.says()).conversation_id, (await answered.says()).conversation_id]
    await answered.answers(ids[1])
    with time_machine.travel(now(), tick=True) as clock:
        await queueing.tend(desk.team.app_id)
        await desk.goes(gone)
        other = await desk.agent()
        await queueing.tend(desk.team.app_id)
        clock.shift(timedelta(minutes=4))
        await queueing.tend(desk.team.app_id)
        assert await desk.has(*ids) == [gone.user_id, gone.user_id]
        clock.shift(timedelta(minutes=2))
        await asyncio.gather(*(queueing.tend(desk.team.app_id) for _ in range(2)))
    assert await desk.has(*ids) == [other.user_id, gone.user_id]
    assert (await desk.told(ids[0]))[1:] == [
        (gone.user_id, None, OFFLINE, "system"),
        (None, other.user_id, QUEUE, "system"),
    ]
    unassigned, queued = FactKind.CONVERSATION_UNASSIGNED, FactKind.CONVERSATION_QUEUED
    assert sorted((await desk.facts(ids[0]))[1:]) == sorted([unassigned, queued, FactKind.CONVERSATION_ASSIGNED])


async def test_when_nobody_knows_who_is_there_nobody_is_gone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.set(AssignmentMode.BALANCED, requeue=1)
    one = await desk.agent()
    (id_,) = await desk.opened()

    async def away(*_: object) -> None:
        raise RedisAway("away")

    with time_machine.travel(now(), tick=True) as clock:
        await desk.goes(one)
        await queueing.tend(desk.team.app_id)
        with monkeypatch.context() as patched:
            patched.setattr(presence._roster, "read", away)
            clock.shift(timedelta(minutes=5))
            await queueing.tend(desk.team.app_id)
        # the time begins anew, as they may have been back meanwhile
        await queueing.tend(desk.team.app_id)
        assert await desk.has(id_) == [one.user_id]
        clock.shift(timedelta(minutes=5))
        await queueing.tend(desk.team.app_id)
    assert await desk.has(id_) == [None]


async def test_two_clocks_drain_once(desk: Desk) -> None:
    await desk.set(AssignmentMode.ROUND_ROBIN)
    ids = await desk.opened(6)
    await desk.agent(capacity=3)
    await desk.agent(capacity=2)
    await asyncio.gather(*(queueing.tend(desk.team.app_id) for _ in range(4)))
    assert sorted((await desk.loads()).values()) == [2, 3]
    assert sorted([len(await desk.told(id_)) for id_ in ids]) == [0, 1, 1, 1, 1, 1]


async def test_the_clock_finds_the_apps_that_assign_by_themselves(desk: Desk) -> None:
    async def found() -> list[UUID]:
        seen: list[UUID] = []
        async with transaction() as session:
            while page := await queueing.tending(session, seen[-1] if seen else None):
                seen += page
        return seen

    assert desk.team.app_id not in await found()
    await desk.set(AssignmentMode.ROUND_ROBIN)
    assert (await found()).count(desk.team.app_id) == 1


async def test_whatever_makes_somebody_free_wakes_the_drainer_if_anything_waits(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[tuple[str, ...]] = []

    async def wake(*call: str) -> None:
        woken.append(call)

    monkeypatch.setattr(waking, "wake", wake)
    await desk.set(AssignmentMode.BALANCED, capacity=1)
    one = await desk.agent()
    (had,) = await desk.opened()
    await desk.resolve(had)
    assert woken == []
    has, waits = await desk.opened(2)
    assert await desk.queue() == [waits]
    member_id = await desk.member_id(one)
    async with transaction() as session:
        await conversations.snooze(session, one, has, now() + timedelta(hours=1))
    async with transaction() as session:
        await members.set_capacity(session, desk.owner, member_id, 7)
    for is_away in (True, False):
        async with transaction() as session:
            await members.set_away(session, one, is_away=is_away)
    await desk.set(AssignmentMode.ROUND_ROBIN)
    await waking.somebody_arrived(desk.team.app_id)
    await desk.assign(has, None)
    assert woken == [("drain_queue", str(desk.team.app_id))] * 7


async def test_settings_keep_their_ranges(desk: Desk) -> None:
    for changes in ({"agent_capacity": -1}, {"agent_capacity": 1_001}, {"requeue_after_minutes": 0}):
        with pytest.raises(Invalid):
            async with transaction() as session:
                await settings.update(session, desk.owner, settings.AssignmentSettings(**changes))
    with pytest.raises(Invalid):
        async with transaction() as session:
            await members.set_capacity(session, desk.owner, await desk.member_id(desk.owner), 1_001)
