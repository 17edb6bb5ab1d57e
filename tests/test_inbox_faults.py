"""The inbox under faults: two agents and many devices over two APIs, of which one is killed, and the bus restarted.

Everybody writes on, again under the same key when an answer got lost, and comes back with a cursor when cut off. In the
end each has been told everything once and in order. The large one is long; `make faults` runs it, with random faults by
REPLYHQ_FAULT_SEEDS.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx2
import pytest
import sqlalchemy as sa
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from core.database import transaction
from core.pubsub import hub
from models.conversations import Conversation, ConversationStatus, Direction
from models.messages import Message, MessageStatus
from models.streams import Stream
from models.team import Role
from tests.jobs.test_random_faults import SEEDS
from tests.support import factories, inbox
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.inbox import Line
from tests.support.own_servers import OwnServers, used
from tests.support.processes import Api
from tests.support.waiting import until
from tests.test_conversations import ANSWER, MARK, SAY

BOUND = 120
PAUSE = 0.05
LOST = (OSError, ConnectionClosed, InvalidHandshake, TimeoutError, httpx2.HTTPError)
PLACE = "__typename ... on StreamEvent { cursor sequence }"
OWN = f"""subscription($id: ID!, $after: String) {{ ownMessageChanged(conversationId: $id, after: $after) {{ {PLACE}
  ... on OwnMessageChange {{ action entityId messages {{ id direction status }} }} }} }}"""
ADDED = f"""subscription($id: ID!, $after: String) {{ messageAdded(conversationId: $id, after: $after) {{ {PLACE}
  ... on MessagesSnapshot {{ messages {{ id }} }} ... on MessageChange {{ entityId }} }} }}"""
RECEIPTS = f"""subscription($id: ID!, $after: String) {{ messageReceiptChanged(conversationId: $id, after: $after) {{
  {PLACE} ... on MessagesSnapshot {{ messages {{ id status }} }}
  ... on MessageReceiptChange {{ messages {{ id status }} }} }} }}"""
LIST = f"""subscription($filter: ConversationFilterInput, $after: String) {{
  conversationList(filter: $filter, after: $after) {{ {PLACE}
  ... on ConversationListSnapshot {{ conversations {{ id }} }}
  ... on ConversationListChange {{ move conversationId }} }} }}"""
MOVE = "mutation($input: ConversationInput!) {{ {verb}Conversation(input: $input) {{ userErrors {{ code }} }} }}"
OPEN = {"statuses": ["OPEN"]}


@dataclass(frozen=True)
class Scale:
    """How much happens."""

    devices: int
    said: int
    faults: int


SMALL, LARGE = Scale(devices=6, said=4, faults=1), Scale(devices=50, said=10, faults=6)


class Person:
    """Somebody with a token, who asks whichever API answers, and never gives up."""

    def __init__(self, apis: Sequence[Api], token: str) -> None:
        self._faces = [Graph(api.graphql, api.socket, token) for api in apis]
        self._turn = 0

    def _next(self) -> Graph:
        self._turn += 1
        return self._faces[self._turn % len(self._faces)]

    async def change(self, query: str, **input: Any) -> dict[str, Any]:
        """Until it is answered."""
        async with asyncio.timeout(BOUND):
            while True:
                with suppress(*LOST):
                    answer = await self._next().ask(query, input=input)
                    if answer.status < 500 and "UNAVAILABLE" not in answer.codes:
                        (payload,) = answer.data.values()
                        assert payload["userErrors"] == [], payload
                        return payload
                await asyncio.sleep(PAUSE)

    async def follow(self, query: str, take: Callable[[dict[str, Any]], None], **variables: Any) -> None:
        """Be told all that happens, for ever, coming back with the last cursor whenever it is cut off."""
        cursor = None
        while True:
            with suppress(*LOST):
                async with self._next().connect() as socket:
                    await socket.start(query, **variables, after=cursor)
                    while True:
                        message = await socket.receive(BOUND)
                        if message["type"] != "next":
                            break
                        assert "errors" not in message["payload"], message
                        (told,) = message["payload"]["data"].values()
                        assert told["__typename"] != "Resync", told
                        cursor = told["cursor"]
                        take(told)
            await asyncio.sleep(PAUSE)

    async def close(self) -> None:
        for face in self._faces:
            await face.close()


@dataclass
class Device:
    """A contact's device: what it was told of its conversation."""

    line: Line
    person: Person
    conversation_id: str = ""
    sequences: list[int] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    unread: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)

    async def begin(self) -> None:
        said = await self.person.change(SAY, body="Hello", clientKey="first")
        self.conversation_id = said["message"]["conversationId"]

    def take(self, told: dict[str, Any]) -> None:
        self.sequences.append(told["sequence"])
        if told["__typename"] == "OwnMessageChange" and told["action"] == "message.created":
            for message in told["messages"]:
                if message["direction"] == "OUTBOUND":
                    self.unread.put_nowait(message["id"])

    async def talk(self, count: int) -> None:
        for no in range(count):
            await self.person.change(SAY, body=f"Said {no}", clientKey=f"said-{no}")

    async def report(self) -> None:
        while True:
            id_ = await self.unread.get()
            await self.person.change(MARK, upToMessageId=id_, receipt="READ")
            self.read.add(id_)


@dataclass
class Agent:
    """A person of the team: the list before them, and the messages and ticks of some conversations."""

    person: Person
    listed: set[str] = field(default_factory=set)
    snapshot: dict[str, set[str]] = field(default_factory=dict)
    added: dict[str, list[str]] = field(default_factory=dict)
    ticks: dict[str, str] = field(default_factory=dict)

    def take_list(self, told: dict[str, Any]) -> None:
        if told["__typename"] == "ConversationListSnapshot":
            self.listed = {row["id"] for row in told["conversations"]}
        elif told["move"] == "LEFT":
            self.listed.discard(told["conversationId"])
        else:
            self.listed.add(told["conversationId"])

    def take_added(self, id_: str, told: dict[str, Any]) -> None:
        if told["__typename"] == "MessagesSnapshot":
            self.snapshot[id_] = {row["id"] for row in told["messages"]}
        else:
            self.added.setdefault(id_, []).append(told["entityId"])

    def take_ticks(self, told: dict[str, Any]) -> None:
        self.ticks |= {row["id"]: row["status"] for row in told["messages"]}

    async def answer(self, devices: Sequence[Device], count: int) -> None:
        for no in range(count):
            for device in devices:
                key = {"body": f"Answer {no}", "clientKey": f"answer-{no}-{device.conversation_id}"}
                await self.person.change(ANSWER, conversationId=device.conversation_id, **key)

    async def move(self, devices: Sequence[Device]) -> None:
        """Resolve every third conversation; the contact may open it again by what they say."""
        for device in devices[::3]:
            await self.person.change(MOVE.format(verb="resolve"), id=device.conversation_id)


@asynccontextmanager
async def apis() -> AsyncIterator[list[Api]]:
    made = [Api(REPLYHQ_WS_MAX_CONNECTIONS_PER_USER="500", REPLYHQ_WS_MAX_CONNECTIONS_PER_IP="5000") for _ in range(2)]
    for api in made:
        await asyncio.to_thread(api.start)
    try:
        yield made
    finally:
        for api in made:
            await asyncio.to_thread(api.stop)


@pytest.fixture
async def own() -> AsyncIterator[OwnServers]:
    async with used() as servers:
        yield servers
        await hub().disconnect()


async def hurt(own: OwnServers, chance: random.Random, houses: Sequence[Api], scale: Scale) -> list[str]:
    """Kill an API and restart the bus, in any order; when there is more of it, crash the database too."""

    async def kill_api() -> None:
        api = chance.choice(houses)
        await asyncio.to_thread(api.kill)
        await asyncio.to_thread(api.start)

    ways: list[Callable[[], Awaitable[None]]] = [kill_api, own.restart_valkey]
    further = [*ways, own.restart_postgresql]
    suffered = [*ways, *(chance.choice(further) for _ in range(scale.faults - 1))]
    for fault in suffered:
        await fault()
    return [fault.__name__ for fault in suffered]


async def messages_of(conversation_id: str) -> list[str]:
    of_it = sa.select(Message.id).where(Message.conversation_id == UUID(conversation_id))
    async with transaction() as session:
        return [str(id_) for id_ in await session.scalars(of_it.order_by(Message.created_at, Message.id))]


async def open_ones(app_id: UUID) -> set[str]:
    own = sa.select(Conversation.id).where(Conversation.app_id == app_id)
    async with transaction() as session:
        return {str(id_) for id_ in await session.scalars(own.where(Conversation.status == ConversationStatus.OPEN))}


async def outbound(conversation_ids: Sequence[str]) -> dict[str, str]:
    """The status of each answer."""
    of_them = Message.conversation_id.in_([UUID(id_) for id_ in conversation_ids])
    rows = sa.select(Message.id, Message.status).where(of_them, Message.direction == Direction.OUTBOUND)
    async with transaction() as session:
        return {str(id_): status.value for id_, status in await session.execute(rows)}


async def head(device: Device) -> int:
    """The number of the newest event that the device is told of."""
    async with transaction() as session:
        found = sa.select(Stream.head).where(Stream.name == f"thread:{device.conversation_id}")
        return await session.scalar(found) or 0


async def converse(own: OwnServers, chance: random.Random, scale: Scale) -> list[str]:
    team = await factories.team()
    colleague = await factories.team(Role.AGENT, team.app_id)
    async with AsyncExitStack() as stack:
        houses = await stack.enter_async_context(apis())
        agents = [Agent(Person(houses, one.token)) for one in (team, colleague)]
        devices = [await _device(team, houses) for _ in range(scale.devices)]
        for one in (*agents, *devices):
            stack.push_async_callback(one.person.close)
        for device in devices:
            await device.begin()
        following = stack.enter_context(_following(agents, devices))
        await until(lambda: _all_there(agents, devices), lambda there: there, seconds=BOUND)
        work = [device.talk(scale.said) for device in devices]
        work += [agent.answer(devices[no::2], scale.said) for no, agent in enumerate(agents)] + [
            agents[0].move(devices)
        ]
        suffered, *_ = await asyncio.gather(hurt(own, chance, houses, scale), *work)
        await _while_all_live(settled(team, agents, devices, scale), following)
    return suffered


async def _while_all_live(work: Coroutine[Any, Any, None], following: Sequence["asyncio.Task[None]"]) -> None:
    """Do the work; fail with the reason of the first who stops to follow."""
    ours = asyncio.create_task(work)
    done, _ = await asyncio.wait([ours, *following], return_when=asyncio.FIRST_COMPLETED)
    ours.cancel()
    for task in done:
        await task


async def settled(team: Team, agents: Sequence[Agent], devices: Sequence[Device], scale: Scale) -> None:
    """Each has been told everything, once and in order, and sees what the database holds."""
    ids = [device.conversation_id for device in devices]
    said = {id_: await messages_of(id_) for id_ in ids}
    assert {len(rows) for rows in said.values()} == {1 + 2 * scale.said}, "written once, however often it was sent"
    await until(lambda: outbound(ids), lambda found: set(found.values()) == {MessageStatus.READ.value}, seconds=BOUND)
    for device in devices:
        last = await head(device)
        await until(lambda one=device: _now(one.sequences), lambda seen, end=last: seen[-1] == end, seconds=BOUND)
        assert device.sequences == list(range(device.sequences[0], last + 1))
    finally_open, ticks = await open_ones(team.app_id), await outbound(ids)
    for agent in agents:
        await until(lambda one=agent: _now(one.listed), lambda seen: seen == finally_open, seconds=BOUND)
        await until(lambda one=agent: _now(one.ticks), lambda seen: ticks.items() <= seen.items(), seconds=BOUND)
        for id_, rows in said.items():
            before = agent.snapshot[id_]
            await until(lambda one=agent, of=id_: _now(one.added.get(of, [])), _ends_with(rows), seconds=BOUND)
            told = agent.added[id_]
            assert len(told) == len(set(told)), "told once"
            assert told == [row for row in rows if row in set(told)], "in order"
            assert set(rows) == before | set(told), "nothing is missing"


def _ends_with(rows: Sequence[str]) -> Callable[[list[str]], bool]:
    return lambda seen: bool(seen) and seen[-1] == rows[-1]


async def _now(found: Any) -> Any:
    return found


async def _all_there(agents: Sequence[Agent], devices: Sequence[Device]) -> bool:
    """Whether everybody has been told how things stand."""
    return all(device.sequences for device in devices) and all(
        agent.listed and len(agent.snapshot) == len(devices) for agent in agents
    )


async def _device(team: Team, houses: Sequence[Api]) -> Device:
    line = await inbox.line(team)
    return Device(line, Person(houses, await factories.device_token(line.device.device())))


class _following:  # noqa: N801  a context manager, read as a verb
    """Everybody follows what they would have on the screen, until the end of the block."""

    def __init__(self, agents: Sequence[Agent], devices: Sequence[Device]) -> None:
        self._agents, self._devices = agents, devices
        self._tasks: list[asyncio.Task[None]] = []

    def __enter__(self) -> list[asyncio.Task[None]]:
        for device in self._devices:
            id_ = device.conversation_id
            self._begin(device.person.follow(OWN, device.take, id=id_), device.report())
            for agent in self._agents:
                take = lambda told, one=agent, of=id_: one.take_added(of, told)  # noqa: E731
                self._begin(agent.person.follow(ADDED, take, id=id_))
                self._begin(agent.person.follow(RECEIPTS, lambda told, one=agent: one.take_ticks(told), id=id_))
        for agent in self._agents:
            self._begin(agent.person.follow(LIST, agent.take_list, filter=OPEN))
        return self._tasks

    def _begin(self, *works: Any) -> None:
        self._tasks += [asyncio.create_task(work) for work in works]

    def __exit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()


async def test_agents_and_devices_are_told_all_of_it_once_though_an_api_dies_and_the_bus_restarts(
    own: OwnServers,
) -> None:
    await converse(own, random.Random(1), SMALL)


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
async def test_two_agents_and_fifty_devices_under_random_faults(own: OwnServers, seed: int) -> None:
    await converse(own, random.Random(seed), LARGE)
