"""Those who subscribe alike: each event is executed once and encoded once, and nobody gets what is not theirs."""

import asyncio
import random
import socket as sockets
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from strawberry.types import ExecutionResult
from websockets.exceptions import ConnectionClosed

from core.errors import Unauthenticated
from core.ids import new_id
from domain.permissions import Permission
from schema.context import Context
from server.graphql import groups
from server.graphql.sharing import alike
from server.wire import header
from tests.server import sample
from tests.server.face import WAIT, Face, principal, running, settings
from tests.support.waiting import until

HAPPENED = "subscription($log: String!, $after: String) { happened(log: $log, after: $after) { number told } }"
TO_ME = "subscription($log: String!, $after: String) { happenedToMe(log: $log, after: $after) { number told } }"
NEWEST = "subscription($log: String!) { newest(log: $log) }"


@pytest.fixture
def log() -> str:
    return str(new_id())


def someone(face: Face, *permissions: Permission) -> str:
    """The token of a new person who may watch broadcasts."""
    token = str(new_id())
    face.door.known[token] = principal(Permission.VIEW_BROADCASTS, *permissions)
    return token


async def here(face: Face, do: Any, *args: Any, **options: Any) -> Any:
    """Do something in the loop of the server."""

    async def done() -> Any:
        return do(*args, **options)

    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(done(), face.loop))


async def happen(face: Face, log: str, count: int = 1, **how: bool) -> None:
    await here(face, sample.logs[log].happen, count, **how)


async def joined(face: Face, count: int) -> None:
    """Wait until so many are in groups."""

    async def members() -> int:
        return await here(face, lambda: sum(len(one.members) for one in face.view.groups._groups.values()))

    await until(members, lambda found: found == count)


async def all_gone(face: Face) -> None:
    """Wait until no group is left: the server learns of a closed socket a moment after its client."""
    await until(lambda: here(face, lambda: len(face.view.groups)), lambda found: found == 0)


def number(message: Any) -> int:
    assert message["type"] == "next", message
    ((found,),) = [payload.values() for payload in [message["payload"]["data"]]]
    return found["number"]


async def test_an_event_is_executed_once_for_fifty_who_each_get_it_under_their_own_id(face: Face, log: str) -> None:
    async with AsyncExitStack() as stack:
        tokens = [someone(face) for _ in range(5)]
        probes = [await stack.enter_async_context(face.opened(tokens[no % 5])) for no in range(50)]
        for no, probe in enumerate(probes):
            await probe.subscribe(f"operation {no}", HAPPENED, variables={"log": log, "after": str(0)})
        await joined(face, 50)
        await happen(face, log, 2)
        for no, probe in enumerate(probes):
            assert [await probe.receive() for _ in range(2)] == [
                {
                    "id": f"operation {no}",
                    "type": "next",
                    "payload": {"data": {"happened": {"number": one, "told": "device:None"}}},
                }
                for one in (1, 2)
            ]
        assert [one for one in sample.executed if log in one] == [f"{log} 1", f"{log} 2"]
        assert len(face.view.groups) == 1
    await joined(face, 0)
    await all_gone(face)


@pytest.mark.parametrize("size", [0, 200, 70_000])
async def test_a_frame_of_any_length_is_a_frame(face: Face, log: str, size: int) -> None:
    query = "subscription($log: String!, $size: Int!) { happened(log: $log, size: $size) { number padding } }"
    async with face.opened(someone(face)) as probe:
        await probe.subscribe("ü", query, variables={"log": log, "size": size})
        await joined(face, 1)
        await happen(face, log)
        message = await probe.receive()
        assert (message["id"], message["payload"]["data"]["happened"]["padding"]) == ("ü", "x" * size)
        assert await probe.alive()


def test_who_is_alike(face: Face) -> None:
    one = principal(Permission.VIEW_BROADCASTS)
    other = principal(Permission.VIEW_BROADCASTS)

    def of(who: Any = one, query: str = HAPPENED, name: str | None = None, **variables: Any) -> Any:
        return alike(face.view.schema, query, name, variables, who)  # type: ignore[arg-type]

    assert of(log="a", after="1") == of(other, log="a", after="2") == of(log="a") != of(log="b")
    assert of(replace(one, app_id=new_id()), log="a") != of(log="a")
    assert of(principal(Permission.VIEW_BROADCASTS, Permission.VIEW_TEAM), log="a") != of(log="a")
    assert of(query=f"{HAPPENED} ", log="a") != of(log="a")
    assert of(one, TO_ME, log="a") != of(other, TO_ME, log="a")
    assert of(one, TO_ME, log="a") == of(one, TO_ME, log="a", after="7")
    twice = "subscription($at: String!) { happened(log: $at, after: $at) { number } }"
    assert of(query=twice, at="1") != of(query=twice, at="2") is not None
    for alone in ("{ hello }", "subscription { forever }", "nonsense", "subscription A { forever } query B { hello }"):
        assert of(query=alone) is None
    assert of(query=HAPPENED.replace(") { number", ") @skip(if: false) { number")) is None


async def test_what_depends_on_the_person_is_refused_where_there_is_none_and_told_where_there_is(
    face: Face, log: str
) -> None:
    token = someone(face)
    who = face.door.known[token].user_id  # type: ignore[union-attr]
    async with face.opened(token) as probe:
        await probe.subscribe("all", HAPPENED.replace("told", "person"), variables={"log": log})
        await joined(face, 1)
        await probe.subscribe("mine", TO_ME.replace("told", "person"), variables={"log": log})
        await joined(face, 2)
        await happen(face, log)
        found = {message["id"]: message["payload"] for message in [await probe.receive(), await probe.receive()]}
        assert found["all"]["data"] == {"happened": {"number": 1, "person": None}}
        assert [error["extensions"]["code"] for error in found["all"]["errors"]] == ["FORBIDDEN"]
        assert found["mine"] == {"data": {"happenedToMe": {"number": 1, "person": str(who)}}}


async def test_who_comes_and_goes_misses_nothing_and_gets_nothing_twice(face: Face, log: str) -> None:
    chance, total, token = random.Random(3), 150, someone(face)

    async def write() -> None:
        while sample.logs[log].newest < total:
            await happen(face, log, min(chance.randint(1, 4), total - sample.logs[log].newest))
            await asyncio.sleep(chance.random() / 100)

    async def watch() -> list[int]:
        seen: list[int] = []
        while len(seen) < total:
            async with face.opened(token) as probe:
                await probe.subscribe("1", HAPPENED, variables={"log": log, "after": str(len(seen))})
                for _ in range(chance.randint(1, 60)):
                    if len(seen) < total:
                        seen.append(number(await probe.receive()))
        return seen

    watching = [asyncio.create_task(watch()) for _ in range(6)]
    await write()
    assert await asyncio.gather(*watching) == [list(range(1, total + 1))] * 6


async def test_who_loses_their_rights_sees_nothing_of_the_next_event(face: Face, log: str) -> None:
    gone, demoted, moved, stays = (someone(face) for _ in range(4))
    known = face.door.known
    async with AsyncExitStack() as stack:
        probes = [await stack.enter_async_context(face.opened(token)) for token in (gone, demoted, moved, stays)]
        for probe in probes:
            await probe.subscribe("1", HAPPENED, variables={"log": log})
        await joined(face, 4)

        def change() -> None:
            """As the tick says it, and the event on its heels."""
            known[gone] = Unauthenticated("Over.")
            known[demoted] = replace(known[demoted], permissions=frozenset())  # type: ignore[type-var]
            known[moved] = replace(known[moved], app_id=new_id())  # type: ignore[type-var]
            face.view.sockets.look_again()
            sample.logs[log].happen()

        await here(face, change)
        reasons = ["Forbidden: Over.", *["Forbidden: rights have changed"] * 2]
        for probe, reason in zip(probes[:3], reasons, strict=True):
            with pytest.raises(ConnectionClosed):
                await probe.receive()
            assert (probe.connection.close_code, probe.connection.close_reason) == (4403, reason)
        assert number(await probes[3].receive()) == 1


async def test_who_cannot_be_proven_at_present_is_asked_to_come_back(
    face: Face, log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.sockets.PROOF_SECONDS", 0.1)
    hangs, stays = someone(face), someone(face)
    async with face.opened(hangs) as one, face.opened(stays) as other:
        for probe in (one, other):
            await probe.subscribe("1", HAPPENED, variables={"log": log})
        await joined(face, 2)
        face.door.hangs.add(hangs)
        await here(face, lambda: (face.view.sockets.look_again(), sample.logs[log].happen()))
        assert await one.closing() == (1013, groups.DOUBTFUL)
        assert number(await other.receive()) == 1


async def test_a_client_that_stops_reading_is_let_go_and_others_are_unhurt(face: Face, log: str) -> None:
    """Its own TCP window, and what may wait for it here, fill up; then it is closed, and what waits is dropped."""
    query = HAPPENED.replace("{ number told }", "{ number padding }").replace(
        "after: $after", "after: $after, size: 60000"
    )
    tokens = [someone(face), someone(face)]
    narrow = sockets.socket()
    narrow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", face.port))
    narrow.setblocking(False)
    async with face.opened(tokens[0], sock=narrow, max_queue=1) as stuck, face.opened(tokens[1]) as quick:
        for probe in (stuck, quick):
            await probe.subscribe("1", query, variables={"log": log})
        await joined(face, 2)
        (wire,) = [one._wire for one in await everybody(face) if one.socket.token == tokens[0]]
        stuck.connection.transport.pause_reading()
        waiting = []
        for no in range(1, 200):
            await happen(face, log)
            assert number(await quick.receive()) == no
            waiting.append(await here(face, wire.transport.get_write_buffer_size))
        assert max(waiting) < 512 * 1024 + 70_000
        await joined(face, 1)
        await until(lambda: here(face, lambda: wire.disconnected))
        stuck.connection.transport.abort()


async def everybody(face: Face) -> list[groups.Member]:
    return await here(face, lambda: [one for group in face.view.groups._groups.values() for one in group.members])


async def test_who_completes_is_told_nothing_more_and_the_last_one_ends_the_group(face: Face, log: str) -> None:
    async with face.opened(someone(face)) as probe:
        for id_ in ("1", "2"):
            await probe.subscribe(id_, HAPPENED, variables={"log": log})
        await joined(face, 2)
        await probe.send({"id": "1", "type": "complete"})
        await joined(face, 1)
        await happen(face, log)
        assert (await probe.receive())["id"] == "2"
        await probe.send({"id": "2", "type": "complete"})
        await joined(face, 0)
        ends = len([one for one in sample.closed if one == log])
        assert ends == 3, "two alone, until they had what there was, and the group"
        await probe.subscribe("1", HAPPENED, variables={"log": log, "after": "0"})
        assert number(await probe.receive()) == 1
        assert await probe.alive()


async def test_what_breaks_the_group_is_told_to_each_masked(face: Face, log: str) -> None:
    async with face.opened(someone(face)) as one, face.opened(someone(face)) as other:
        for probe in (one, other):
            await probe.subscribe("1", HAPPENED, variables={"log": log})
        await joined(face, 2)
        await happen(face, log, broken=True)
        for probe in (one, other):
            message = await probe.receive()
            assert (message["type"], message["id"]) == ("error", "1")
            assert [error["extensions"]["code"] for error in message["payload"]] == ["INTERNAL_SERVER_ERROR"]
            assert sample.SECRET not in str(message)
            assert await probe.alive()
    await all_gone(face)


async def test_what_cannot_be_told_while_the_database_is_away_is_told_to_who_comes_back(face: Face, log: str) -> None:
    async with face.opened(someone(face)) as one, face.opened(someone(face)) as other:
        await one.subscribe("1", HAPPENED, variables={"log": log})
        await joined(face, 1)
        sample.logs[log].away = True
        await other.subscribe("1", HAPPENED, variables={"log": log, "after": "-1"})
        for probe in (other, one):
            await happen(face, log)
            with pytest.raises(ConnectionClosed):
                await probe.receive()
            assert (probe.connection.close_code, probe.connection.close_reason) == (1013, "Try again later")
    sample.logs[log].away = False
    async with face.opened(someone(face)) as probe:
        await probe.subscribe("1", HAPPENED, variables={"log": log, "after": "0"})
        assert [number(await probe.receive()) for _ in range(2)] == [1, 2]
    await all_gone(face)


async def test_what_is_wrong_with_the_arguments_is_an_error_of_its_own(face: Face, log: str) -> None:
    async with face.opened(someone(face)) as probe:
        await probe.subscribe("1", HAPPENED, variables={"log": 5})
        assert (await probe.receive())["type"] == "error"
        await probe.subscribe("1", HAPPENED.replace("number", "nothing"), variables={"log": log})
        assert (await probe.receive())["type"] == "error"
        await all_gone(face)


async def test_without_places_a_newcomer_gets_the_latest_and_all_end_together(face: Face, log: str) -> None:
    async with face.opened(someone(face)) as one, face.opened(someone(face)) as other:
        await one.subscribe("1", NEWEST, variables={"log": log})
        assert (await one.receive())["payload"] == {"data": {"newest": 0}}
        await happen(face, log)
        assert (await one.receive())["payload"] == {"data": {"newest": 1}}
        await other.subscribe("1", NEWEST, variables={"log": log})
        assert (await other.receive())["payload"] == {"data": {"newest": 1}}
        await happen(face, log, 2)
        for probe in (one, other):
            assert [(await probe.receive())["payload"]["data"]["newest"] for _ in range(2)] == [2, 3]
            assert await probe.receive() == {"id": "1", "type": "complete"}
    assert sample.executed.count(f"newest {log}") == 1


async def test_under_another_server_everybody_is_served_alone(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.graphql.websocket.wire_of", lambda _: None)
    with running(settings()) as face:
        async with face.opened(someone(face)) as one, face.opened(someone(face)) as other:
            for probe in (one, other):
                await probe.subscribe("1", HAPPENED, variables={"log": log, "after": "0"})
            await happen(face, log, 2)
            for probe in (one, other):
                assert [number(await probe.receive()) for _ in range(2)] == [1, 2]
    assert sorted(one for one in sample.executed if log in one) == [f"{log} 1"] * 2 + [f"{log} 2"] * 2


async def test_a_group_that_is_ahead_lets_who_comes_catch_up_first(face: Face, log: str) -> None:
    """The newcomer is held while it is told what it missed; meanwhile the others get on."""
    async with face.opened(someone(face)) as ahead, face.opened(someone(face)) as late:
        await happen(face, log, 3)
        await ahead.subscribe("1", HAPPENED, variables={"log": log})
        await joined(face, 1)
        await late.subscribe("1", HAPPENED, variables={"log": log, "after": "0"})
        await happen(face, log, 2)
        assert [number(await ahead.receive()) for _ in range(2)] == [4, 5]
        assert [number(await late.receive()) for _ in range(5)] == [1, 2, 3, 4, 5]
        await asyncio.wait_for(joined(face, 2), WAIT)
        await happen(face, log)
        assert (number(await late.receive()), number(await ahead.receive())) == (6, 6)


@dataclass(eq=False)
class Stub:
    """An operation, its websocket and its wire in one."""

    id: str
    group: "groups.Group | None" = None
    late: "groups.Member | None" = None
    written: list[bytes] = field(default_factory=list)
    is_open = True

    def push(self, frames: bytes) -> bool:
        self.written.append(frames)
        return True

    async def admitted(self, asked: set[Any]) -> set[Any]:
        """While the first is proven another one comes, who turns out to have lost their rights."""
        await asyncio.sleep(0)
        if self.group and self.late:
            self.group.members.add(self.late)
        return asked - {self.late.socket if self.late else None}

    def holds(self, _socket: Any) -> bool:
        return True


async def test_who_comes_while_the_others_are_proven_is_proven_too() -> None:
    first, second = Stub("1"), Stub("2")
    one, late = (groups.Member(stub, stub, stub) for stub in (first, second))  # type: ignore[arg-type]
    sockets_ = Stub("sockets", late=late)

    async def start(context: Any) -> Any:
        async def results() -> Any:
            yield ExecutionResult(data={"a": 1}, errors=None)

        return results()

    execution = groups.Execution(start, lambda result: {"data": result.data}, lambda _: None)
    group = sockets_.group = groups.Group(Context(None), execution, sockets_)  # type: ignore[arg-type]
    group.members.add(one)
    await group.task
    text = b'{"id":"1","type":"next","payload":{"data":{"a":1}}}'
    assert first.written == [header(len(text)) + text]
    assert second.written == []
    with pytest.raises(groups.LetGo):
        await late.ended
    assert await one.ended is None
