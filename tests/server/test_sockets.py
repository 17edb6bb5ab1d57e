"""Who opened a websocket is proven again and again."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
import structlog
import time_machine

from core.clock import now
from core.errors import Forbidden, Unauthenticated, Unavailable
from domain.permissions import Permission
from domain.principals import Principal
from server.graphql.pace import Pace
from server.sockets import Sockets
from tests.server.face import WAIT, Door, principal, running, settings


@dataclass(eq=False)
class Fake:
    """A websocket that notes how it ended."""

    token: str
    principal: Principal
    ended: list[tuple[int, str]] = field(default_factory=list)

    async def end(self, code: int, reason: str) -> None:
        self.ended.append((code, reason))


def opened(door: Door, *tokens: str, **options) -> tuple[Sockets, list[Fake]]:
    """Open websockets of principals whose tokens the door knows."""
    sockets = Sockets(door.authenticate, per_ip=5, per_user=5)
    fakes = []
    for token in tokens:
        known = door.known.setdefault(token, principal(**options))
        assert isinstance(known, Principal)
        fakes.append(Fake(token, known))
        sockets.add(fakes[-1])
    return sockets, fakes


async def test_who_is_still_good_stays_and_a_token_is_asked_about_once():
    door = Door()
    sockets, fakes = opened(door, "a", "a", "b")
    await sockets.round()
    assert sorted(door.asked) == ["a", "b"]
    assert [fake.ended for fake in fakes] == [[], [], []]


@pytest.mark.parametrize("error", [Unauthenticated("The session has ended."), Forbidden("Banned.")])
async def test_who_is_no_longer_good_is_closed_once(error):
    door = Door()
    sockets, (bad, other, good) = opened(door, "bad", "bad", "good")
    door.known["bad"] = error
    await sockets.round()
    await sockets.round()
    await sockets.closed()
    assert bad.ended == other.ended == [(4403, f"Forbidden: {error.message}")]
    assert good.ended == []


@pytest.mark.parametrize("error", [Unavailable("The database is away."), RuntimeError("bug"), TimeoutError()])
async def test_a_proof_that_cannot_be_made_closes_nobody(error):
    door = Door()
    sockets, (fake,) = opened(door, "a")
    door.known["a"] = error
    with structlog.testing.capture_logs() as logs:
        await sockets.round()
    assert fake.ended == []
    assert logs[0]["error"] == type(error).__name__


async def test_a_proof_that_hangs_holds_up_nobody_for_long(monkeypatch):
    monkeypatch.setattr("server.sockets.PROOF_SECONDS", 0.05)
    door = Door(hangs={"hangs"})
    sockets, (hanging, bad) = opened(door, "hangs", "bad")
    door.known["bad"] = Unauthenticated("Gone.")
    await sockets.round()
    await sockets.closed()
    assert (hanging.ended, len(bad.ended)) == ([], 1)


async def test_an_expired_token_closes_without_asking():
    door = Door()
    sockets, (fake,) = opened(door, "old", seconds=-1)
    await sockets.round()
    await sockets.closed()
    assert (fake.ended, door.asked) == ([(4403, "Forbidden: token expired")], [])


async def test_other_rights_mean_opening_again():
    door = Door()
    sockets, (fake,) = opened(door, "a")
    door.known["a"] = replace(fake.principal, permissions=frozenset({Permission.VIEW_CONTACTS}))
    await sockets.round()
    await sockets.closed()
    assert fake.ended == [(4403, "Forbidden: rights have changed")]


async def test_whoever_is_in_doubt_is_proven_before_they_are_told_something():
    door = Door()
    sockets, (gone, stays) = opened(door, "gone", "stays")
    assert await sockets.admitted([gone, stays]) == {gone, stays}
    assert await sockets.admitted([gone, stays]) == {gone, stays}
    assert sorted(door.asked) == ["gone", "stays"], "once, as nothing has changed since"
    door.known["gone"] = Unauthenticated("Over.")
    sockets.look_again()
    assert await sockets.admitted([gone, stays]) == {stays}
    assert (sockets.holds(gone), sockets.holds(stays)) == (False, True)


async def test_whoever_cannot_be_proven_is_not_told_and_not_closed():
    door = Door()
    sockets, (fake,) = opened(door, "a")
    door.known["a"] = Unavailable("Away.")
    assert await sockets.admitted([fake]) == set()
    assert (sockets.holds(fake), fake.ended) == (True, [])


async def test_whose_token_has_expired_is_told_nothing():
    sockets, (fake,) = opened(Door(), "a", seconds=60)
    assert await sockets.admitted([fake]) == {fake}
    with time_machine.travel(now() + timedelta(seconds=61), tick=False):
        assert await sockets.admitted([fake]) == set()
    assert not sockets.holds(fake)


async def test_a_closed_websocket_is_not_asked_about():
    door = Door()
    sockets, (fake,) = opened(door, "a")
    sockets.discard(fake)
    await sockets.round()
    assert door.asked == []


async def test_the_watch_goes_on_after_a_failure():
    door = Door()
    sockets, (fake,) = opened(door, "a")
    with structlog.testing.capture_logs():
        async with asyncio.timeout(WAIT), sockets.watched(every=0.01):
            door.known["a"] = RuntimeError("bug")
            while len(door.asked) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            door.known["a"] = Unauthenticated("Gone.")
            while not fake.ended:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


class Silent(Fake):
    """A websocket whose client does not answer the closing until it is let go."""

    going = asyncio.Event()

    async def end(self, code: int, reason: str) -> None:
        await super().end(code, reason)
        await self.going.wait()


async def test_who_does_not_answer_the_closing_holds_up_nobody(monkeypatch):
    monkeypatch.setattr("server.sockets.AT_ONCE", 1)
    monkeypatch.setattr(Silent, "going", going := asyncio.Event())
    door = Door()
    sockets = Sockets(door.authenticate, per_ip=5, per_user=5)
    fakes = [Silent(token, principal()) for token in ("one", "two")]
    async with sockets.watched(every=0.01):
        for fake in fakes:
            sockets.add(fake)
        async with asyncio.timeout(WAIT):
            while not all(fake.ended for fake in fakes):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        leaving = asyncio.create_task(sockets.closed())
        await asyncio.sleep(0)
        assert not leaving.done(), "the process waits for them when it stops"
        going.set()
    await asyncio.wait_for(leaving, WAIT)


async def test_a_closing_that_fails_is_logged_and_touches_no_other():
    class Broken(Fake):
        async def end(self, code: int, reason: str) -> None:
            await super().end(code, reason)
            raise RuntimeError("bug")

    door = Door()
    sockets, (fake,) = opened(door, "a")
    sockets.add(Broken("b", principal()))
    door.known.clear()
    with structlog.testing.capture_logs() as logs:
        await sockets.round()
        await sockets.closed()
    assert ([log["event"] for log in logs], len(fake.ended)) == (["websocket not closed"], 1)


async def test_told_that_rights_have_changed_one_round_begins_at_once():
    door = Door()
    sockets, (fake,) = opened(door, "a")
    async with asyncio.timeout(WAIT), sockets.watched(every=3600):
        await asyncio.sleep(0)
        for _ in range(50):
            sockets.look_again()
        while not door.asked:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert (door.asked, fake.ended) == (["a"], [])
        door.known["a"] = Unauthenticated("Gone.")
        sockets.look_again()
        while not fake.ended:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert door.asked == ["a", "a"]


def test_an_address_gets_its_places_back():
    sockets = Sockets(Door().authenticate, per_ip=1, per_user=1)
    with sockets.admission("::1") as first, sockets.admission("::1") as second, sockets.admission("::2") as other:
        assert (first, second, other) == (True, False, True)
    with sockets.admission("::1") as again:
        assert again


def test_a_person_gets_their_places_back_however_a_websocket_ends():
    sockets = Sockets(Door().authenticate, per_ip=1, per_user=2)
    person, other = principal(), principal()
    one, two, three = (Fake(token, person) for token in "abc")
    assert [sockets.add(fake) for fake in (one, two, three)] == [True, True, False]
    assert sockets.add(Fake("d", other))
    sockets.discard(three)
    assert not sockets.add(three)
    sockets.discard(one)
    sockets.discard(one)
    assert [sockets.add(three), sockets.add(one)] == [True, False]


async def test_on_the_wire_a_person_has_so_many_websockets_whatever_their_token():
    with running(settings(ws_max_connections_per_user=2)) as face:
        person, other = principal(), principal()
        face.door.known |= {"a": person, "b": person, "other": other}
        async with face.opened("a"), face.opened("other"):
            async with face.opened("b"), face.socket() as probe:
                await probe.send({"type": "connection_init", "payload": {"Authorization": "Bearer a"}})
                assert await probe.closing() == (4429, "Too many websockets of one account")
            async with face.opened("b") as again:
                assert await again.alive()


async def test_on_the_wire_so_many_messages_may_come_at_once():
    with running(settings(ws_message_burst=5, ws_messages_per_second=0.001)) as face:
        async with face.opened() as quick, face.opened() as calm:
            for _ in range(4):
                assert await quick.alive()
            await quick.send({"type": "ping"})
            assert await quick.closing() == (4429, "Too many messages")
            assert await calm.alive()


def test_the_pace_pays_back(monkeypatch):
    at = 0.0
    monkeypatch.setattr("server.graphql.pace.monotonic", lambda: at)
    pace = Pace(per_second=2.0, burst=3)
    assert [pace.take() for _ in range(4)] == [True, True, True, False]
    at = 0.5
    assert [pace.take() for _ in range(2)] == [True, False]
    at = 100.0
    assert [pace.take() for _ in range(4)] == [True, True, True, False]


async def prove(face):
    """One round in the server's own loop, as its watch does."""
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(face.view.sockets.round(), face.loop))


async def test_on_the_wire_a_revoked_session_closes_all_its_websockets_and_no_other(face):
    face.door.known |= {"gone": principal(), "stays": principal()}
    async with (
        face.opened("gone") as one,
        face.opened("gone") as two,
        face.opened("stays") as other,
        face.opened() as no,
    ):
        await one.subscribe("1", "subscription { forever }")
        await one.receive()
        face.door.known["gone"] = Unauthenticated("The session has ended. Sign in again.")
        await prove(face)
        for probe in (one, two):
            assert await probe.closing() == (4403, "Forbidden: The session has ended. Sign in again.")
        assert await other.alive()
        assert await no.alive()


async def test_on_the_wire_an_expired_token_starts_nothing_more(face, monkeypatch):
    face.door.known["short"] = principal(seconds=900)
    async with face.opened("short") as probe:
        monkeypatch.setattr("server.graphql.websocket.now", lambda: now() + timedelta(seconds=901))
        await probe.subscribe("1", "{ whoami }")
        assert await probe.closing() == (4403, "Forbidden: token expired")


async def test_on_the_wire_each_operation_is_of_who_holds_the_token_by_then(face):
    face.door.known["a"] = replace(principal(), permissions=frozenset())
    async with face.opened("a") as probe:
        asked = len(face.door.asked)
        await probe.subscribe("1", "{ whoami }")
        assert (await probe.receive())["type"] == "next"
        assert len(face.door.asked) == asked + 1


async def test_on_the_wire_a_revoked_token_starts_nothing_more_and_ends_the_websocket(face):
    face.door.known["a"] = principal()
    async with face.opened("a") as probe:
        face.door.known["a"] = Unauthenticated("The session has ended. Sign in again.")
        await probe.subscribe("1", "{ whoami }")
        assert await probe.closing() == (4403, "Forbidden: The session has ended. Sign in again.")


async def test_on_the_wire_a_proof_that_cannot_be_made_is_an_error_of_the_operation_alone(face):
    known = face.door.known["a"] = principal()
    async with face.opened("a") as probe:
        face.door.known["a"] = Unavailable("The database is away.")
        await probe.subscribe("1", "{ whoami }")
        message = await probe.receive()
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "UNAVAILABLE")
        face.door.known["a"] = known
        await probe.subscribe("2", "{ whoami }")
        assert (await probe.receive())["type"] == "next"
