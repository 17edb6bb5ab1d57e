"""Who types, looks on, is there: over real websockets of two API processes, from either side."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from core.database import transaction
from core.ids import new_id
from models.devices import Device, Platform
from models.sessions import UserSession
from models.team import Role
from tests.core.valkey_server import ValkeyServer
from tests.support import factories
from tests.support.client import Client, Stream, connected
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.processes import Api

LASTS = 1.5
TOLD = "{ expiresInSeconds userErrors { code field } }"
SET = f"mutation($input: SetTypingInput!) {{ setTyping(input: $input) {TOLD} }}"
SET_OWN = f"mutation($input: SetTypingInput!) {{ setOwnTyping(input: $input) {TOLD} }}"
TYPING = "subscription($id: ID!) { typingChanged(conversationId: $id) { typists { side user { id } } } }"
OWN_TYPING = "subscription($id: ID!) { ownTypingChanged(conversationId: $id) { names } }"
VIEWERS = (
    "subscription($id: ID!, $unseen: Boolean = false) { viewersChanged(conversationId: $id, unseen: $unseen)"
    " { userIds users { id } } }"
)
PRESENCE = "subscription { presenceChanged { userIds } }"
SEND = "mutation($input: SendMessageInput!) { sendMessage(input: $input) { userErrors { code } } }"
SAY = "mutation($input: SendOwnMessageInput!) { sendOwnMessage(input: $input) { userErrors { code } } }"
CONTACT = ("CONTACT", None)
SAID = {"expiresInSeconds": LASTS, "userErrors": []}


@pytest.fixture(scope="module")
async def valkey(database: None) -> AsyncIterator[ValkeyServer]:
    """One that may be restarted."""
    server = ValkeyServer()
    await server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
async def bounds(valkey: ValkeyServer) -> dict[str, str]:
    """Who types does so for a second and a half."""
    return {
        "REPLYHQ_TYPING_SECONDS": str(LASTS),
        "REDIS_URL": valkey.url,
        "REPLYHQ_NAMESPACE": f"test-{new_id()}",
    }


@pytest.fixture(scope="module")
async def apis(bounds: dict[str, str]) -> AsyncIterator[list[Api]]:
    """Two processes."""
    started = [Api(**bounds), Api(**bounds)]
    for one in started:
        await asyncio.to_thread(one.start)
    yield started
    for one in started:
        await asyncio.to_thread(one.stop)


@dataclass
class Scene:
    """A conversation, two people of the team, two devices of its contact, and one of another contact."""

    id: str
    ada: Team
    bob: Team
    device: str
    twin: str
    stranger: str


@pytest.fixture
async def scene(team: Team) -> Scene:
    stranger, device = await factories.contacts(team.app_id, 2)
    async with transaction() as session:
        contact_id = (await session.scalars(sa.select(Device.contact_id).where(Device.id == device))).one()
        twin = Device(id=new_id(), app_id=team.app_id, contact_id=contact_id, platform=Platform.WEB)
        session.add(twin)
    conversation = await factories.conversation(team.app_id, contact_id)
    tokens = [await factories.device_token(id_) for id_ in (device, twin.id, stranger)]
    return Scene(str(conversation.id), team, await factories.team(Role.AGENT, team.app_id), *tokens)


@pytest.fixture
async def open_() -> AsyncIterator[Any]:
    """Opens websockets that are closed at the end."""
    async with AsyncExitStack() as stack:

        async def opened(api: Api, token: str) -> Client:
            return await stack.enter_async_context(connected(api, token))

        yield opened


async def say(client: Client, scene: Scene, *, own: bool = False, is_typing: bool = True) -> Any:
    return await client.ask(SET_OWN if own else SET, input={"conversationId": scene.id, "isTyping": is_typing})


async def typists(stream: Stream) -> list[tuple[str, str | None]]:
    """Side and person of the next frame."""
    told = await stream.next()
    return [(one["side"], one["user"] and one["user"]["id"]) for one in told["typists"]]


def of(member: Team) -> tuple[str, str]:
    return "TEAM", str(member.user_id)


async def names(stream: Stream) -> list[str]:
    return (await stream.next())["names"]


async def test_both_sides_see_the_other_and_nobody_themselves(apis: list[Api], scene: Scene, open_: Any) -> None:
    ada, bob = await open_(apis[0], scene.ada.token), await open_(apis[1], scene.bob.token)
    device, twin = await open_(apis[1], scene.device), await open_(apis[0], scene.twin)
    by_ada, by_bob = [await one.follow(TYPING, id=scene.id) for one in (ada, bob)]
    by_device, by_twin = [await one.follow(OWN_TYPING, id=scene.id) for one in (device, twin)]
    assert [await typists(by_ada), await typists(by_bob)] == [[], []]
    assert [await names(by_device), await names(by_twin)] == [[], []]

    assert await say(ada, scene) == SAID
    assert await typists(by_bob) == [of(scene.ada)]
    assert [await names(by_device), await names(by_twin)] == [["Ada"], ["Ada"]]
    late = await bob.follow(TYPING, id=scene.id)
    assert await typists(late) == [of(scene.ada)], "who comes later sees it at once"

    assert await say(device, scene, own=True) == SAID
    assert await typists(by_ada) == [CONTACT], "ada's own typing was not told to ada"
    assert await typists(by_bob) == [CONTACT, of(scene.ada)]
    assert await say(twin, scene, own=True) == SAID

    while (seen := await typists(by_bob)) != []:  # it ends by itself, one after the other
        assert seen in ([CONTACT], [of(scene.ada)])
    assert await typists(by_ada) == []
    assert [await names(by_device), await names(by_twin)] == [[], []], "the contact's own was told to no device"
    assert [one.waiting() for one in (by_ada, by_bob, by_device, by_twin)] == [0, 0, 0, 0]


async def test_who_says_it_again_types_on_without_a_word_to_the_others(
    apis: list[Api], scene: Scene, open_: Any
) -> None:
    ada, device = await open_(apis[0], scene.ada.token), await open_(apis[1], scene.device)
    stream = await device.follow(OWN_TYPING, id=scene.id)
    assert await names(stream) == []
    for _ in range(5):  # for longer than it lasts
        await say(ada, scene)
        await asyncio.sleep(LASTS / 3)
    assert await names(stream) == ["Ada"]
    assert stream.waiting() == 0
    assert await names(stream) == []


@pytest.mark.parametrize("way", ["says so", "sends", "unplugs", "closes"])
async def test_an_agent_types_no_more_who(apis: list[Api], scene: Scene, open_: Any, way: str) -> None:
    device = await open_(apis[1], scene.device)
    stream = await device.follow(OWN_TYPING, id=scene.id)
    assert await names(stream) == []
    async with connected(apis[0], scene.ada.token) as ada:
        await say(ada, scene)
        assert await names(stream) == ["Ada"]
        begun = asyncio.get_running_loop().time()
        if way == "says so":
            assert await say(ada, scene, is_typing=False) == {"expiresInSeconds": None, "userErrors": []}
        elif way == "sends":
            assert await ada.ask(SEND, input={"conversationId": scene.id, "body": "Hello"}) == {"userErrors": []}
        elif way == "unplugs":
            ada.leave()
        if way != "closes":
            assert await names(stream) == []
    if way == "closes":
        assert await names(stream) == []
    assert asyncio.get_running_loop().time() - begun < LASTS * 0.9, "sooner than by itself"


async def test_a_contact_types_no_more_who_sends_over_another_connection(
    apis: list[Api], scene: Scene, open_: Any
) -> None:
    ada, device = await open_(apis[0], scene.ada.token), await open_(apis[1], scene.device)
    stream = await ada.follow(TYPING, id=scene.id)
    assert await typists(stream) == []
    await say(device, scene, own=True)
    assert await typists(stream) == [CONTACT]
    http = Graph(apis[0].graphql, apis[0].socket, scene.device)
    assert (await http.change(SAY, body="Hello"))["userErrors"] == []
    await http.close()
    assert await typists(stream) == []


async def test_over_http_it_ends_by_itself(apis: list[Api], scene: Scene, open_: Any) -> None:
    ada = await open_(apis[0], scene.ada.token)
    stream = await ada.follow(TYPING, id=scene.id)
    assert await typists(stream) == []
    http = Graph(apis[1].graphql, apis[1].socket, scene.device)
    await http.change(SET_OWN, conversationId=scene.id, isTyping=True)
    await http.close()
    assert [await typists(stream), await typists(stream)] == [[CONTACT], []]


async def test_what_a_killed_process_held_ends_by_itself(
    apis: list[Api], bounds: dict[str, str], scene: Scene, open_: Any
) -> None:
    doomed = Api(**bounds)
    await asyncio.to_thread(doomed.start)
    device, bob = await open_(apis[1], scene.device), await open_(apis[0], scene.bob.token)
    typing = await device.follow(OWN_TYPING, id=scene.id)
    viewing = await bob.follow(VIEWERS, id=scene.id)
    assert await names(typing) == []
    assert (await viewing.next())["userIds"] == [str(scene.bob.user_id)]
    ada = await open_(doomed, scene.ada.token)
    await ada.follow(VIEWERS, id=scene.id)
    both = sorted([str(scene.ada.user_id), str(scene.bob.user_id)])
    assert (await viewing.next())["userIds"] == both
    await say(ada, scene)
    assert await names(typing) == ["Ada"]
    doomed.kill()
    assert await names(typing) == []
    assert (await viewing.next())["userIds"] == [str(scene.bob.user_id)]


async def test_nobody_sees_or_says_it_elsewhere(apis: list[Api], scene: Scene, open_: Any) -> None:
    stranger, other = await open_(apis[0], scene.stranger), await open_(apis[0], (await factories.team()).token)
    device, ada = await open_(apis[0], scene.device), await open_(apis[0], scene.ada.token)
    key = await open_(apis[0], (await factories.api_key(scene.ada)).secret)
    missing = {"expiresInSeconds": None, "userErrors": [{"code": "NOT_FOUND", "field": ["conversationId"]}]}
    assert await say(stranger, scene, own=True) == missing
    assert await say(other, scene) == missing
    assert await say(key, scene) == await key.ask(TYPING, id=scene.id) == ["FORBIDDEN"]
    assert await say(device, scene) == await say(ada, scene, own=True) == ["FORBIDDEN"]
    assert await stranger.ask(OWN_TYPING, id=scene.id) == ["NOT_FOUND"]
    assert await other.ask(TYPING, id=scene.id) == await other.ask(VIEWERS, id=scene.id) == ["NOT_FOUND"]
    for query in (TYPING, VIEWERS):
        assert await device.ask(query, id=scene.id) == ["FORBIDDEN"]
    assert await device.ask(PRESENCE) == ["FORBIDDEN"]
    assert await ada.ask(OWN_TYPING, id=scene.id) == ["FORBIDDEN"]
    assert await say(ada, Scene("x", *([None] * 5))) == {
        "expiresInSeconds": None,
        "userErrors": [{"code": "BAD_USER_INPUT", "field": ["conversationId"]}],
    }


async def test_each_websocket_may_say_it_so_often(apis: list[Api], scene: Scene, open_: Any) -> None:
    first, second = await open_(apis[0], scene.ada.token), await open_(apis[0], scene.ada.token)
    answers = [await say(first, scene) for _ in range(30)]
    assert answers[:20] == [SAID] * 20
    assert ["RATE_LIMITED"] in answers[20:]
    assert await say(second, scene) == SAID


async def test_who_looks_is_seen_as_long_as_they_do(apis: list[Api], scene: Scene, open_: Any) -> None:
    ada, bob = await open_(apis[0], scene.ada.token), await open_(apis[1], scene.bob.token)
    a, b = str(scene.ada.user_id), str(scene.bob.user_id)
    unseen = await bob.follow(VIEWERS, id=scene.id, unseen=True)
    assert (await unseen.next())["userIds"] == []
    first, second = await ada.follow(VIEWERS, id=scene.id), await ada.follow(VIEWERS, id=scene.id)
    assert await unseen.next() == {"userIds": [a], "users": [{"id": a}]}
    looking = await bob.follow(VIEWERS, id=scene.id)
    assert (await unseen.next())["userIds"] == sorted([a, b])
    await first.end()
    await asyncio.sleep(LASTS * 1.5)  # whoever looks is seen on, and once
    assert unseen.waiting() == 0
    await second.end()
    assert (await unseen.next())["userIds"] == [b]
    await looking.end()
    assert (await unseen.next())["userIds"] == []


async def test_who_has_a_websocket_is_there(apis: list[Api], scene: Scene, open_: Any) -> None:
    a, b = str(scene.ada.user_id), str(scene.bob.user_id)
    ada = await open_(apis[0], scene.ada.token)
    stream = await ada.follow(PRESENCE)
    assert (await stream.next())["userIds"] == [a]
    await open_(apis[1], scene.device)
    await open_(apis[1], (await factories.team()).token)
    async with connected(apis[1], scene.bob.token):
        assert (await stream.next())["userIds"] == sorted([a, b])
        async with connected(apis[0], scene.bob.token):
            pass
        await asyncio.sleep(0.3)
        assert stream.waiting() == 0, "one of two websockets has gone"
    assert (await stream.next())["userIds"] == [a]
    bob = await open_(apis[1], scene.bob.token)
    assert (await stream.next())["userIds"] == sorted([a, b])
    async with transaction() as session:
        own = sa.update(UserSession).where(UserSession.user_id == scene.bob.user_id)
        await session.execute(own.values(revoked_at=sa.func.now()))
    assert (await stream.next())["userIds"] == [a], "a session that has ended"
    del bob


async def test_after_a_restart_of_valkey_it_is_all_there_again(
    apis: list[Api], valkey: ValkeyServer, scene: Scene, open_: Any
) -> None:
    ada, bob = await open_(apis[0], scene.ada.token), await open_(apis[1], scene.bob.token)
    both = sorted([str(scene.ada.user_id), str(scene.bob.user_id)])
    typing, viewing = await bob.follow(TYPING, id=scene.id), await bob.follow(VIEWERS, id=scene.id)
    presence = await bob.follow(PRESENCE)
    await ada.follow(VIEWERS, id=scene.id)
    for stream in (viewing, presence):
        while (await stream.next())["userIds"] != both:
            pass
    assert await typists(typing) == []
    await say(ada, scene)
    assert await typists(typing) == [of(scene.ada)]
    valkey.stop()
    assert await say(ada, scene) == SAID, "nobody is hindered"
    assert await typists(typing) == []
    await valkey.start()

    async def says_so() -> None:
        while True:
            await say(ada, scene)
            await asyncio.sleep(LASTS / 3)

    saying = asyncio.create_task(says_so())
    try:
        assert await typists(typing) == [of(scene.ada)]
        while (await viewing.next())["userIds"] != both:  # they were gone for the time of the outage
            pass
    finally:
        saying.cancel()
    assert presence.waiting() == 0, "who is there lasts for longer than the outage"
