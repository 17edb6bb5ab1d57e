"""Who opened a websocket is proven again and again."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
import structlog

from core.clock import now
from core.errors import Forbidden, Unauthenticated, Unavailable
from domain.permissions import Permission
from domain.principals import Principal
from server.sockets import Sockets
from tests.server.face import WAIT, Door, principal


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
    sockets = Sockets(door.authenticate, per_ip=5)
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
    await sockets.prove()
    assert sorted(door.asked) == ["a", "b"]
    assert [fake.ended for fake in fakes] == [[], [], []]


@pytest.mark.parametrize("error", [Unauthenticated("The session has ended."), Forbidden("Banned.")])
async def test_who_is_no_longer_good_is_closed_once(error):
    door = Door()
    sockets, (bad, other, good) = opened(door, "bad", "bad", "good")
    door.known["bad"] = error
    await sockets.prove()
    await sockets.prove()
    assert bad.ended == other.ended == [(4403, f"Forbidden: {error.message}")]
    assert good.ended == []


@pytest.mark.parametrize("error", [Unavailable("The database is away."), RuntimeError("bug"), TimeoutError()])
async def test_a_proof_that_cannot_be_made_closes_nobody(error):
    door = Door()
    sockets, (fake,) = opened(door, "a")
    door.known["a"] = error
    with structlog.testing.capture_logs() as logs:
        await sockets.prove()
    assert fake.ended == []
    assert logs[0]["error"] == type(error).__name__


async def test_a_proof_that_hangs_holds_up_nobody_for_long(monkeypatch):
    monkeypatch.setattr("server.sockets.PROOF_SECONDS", 0.05)
    door = Door(hangs={"hangs"})
    sockets, (hanging, bad) = opened(door, "hangs", "bad")
    door.known["bad"] = Unauthenticated("Gone.")
    await sockets.prove()
    assert (hanging.ended, len(bad.ended)) == ([], 1)


async def test_an_expired_token_closes_without_asking():
    door = Door()
    sockets, (fake,) = opened(door, "old", seconds=-1)
    await sockets.prove()
    assert (fake.ended, door.asked) == ([(4403, "Forbidden: token expired")], [])


async def test_other_rights_mean_opening_again():
    door = Door()
    sockets, (fake,) = opened(door, "a")
    door.known["a"] = replace(fake.principal, permissions=frozenset({Permission.VIEW_CONTACTS}))
    await sockets.prove()
    assert fake.ended == [(4403, "Forbidden: rights have changed")]


async def test_a_closed_websocket_is_not_asked_about():
    door = Door()
    sockets, (fake,) = opened(door, "a")
    sockets.discard(fake)
    await sockets.prove()
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


def test_an_address_gets_its_places_back():
    sockets = Sockets(Door().authenticate, per_ip=1)
    with sockets.admission("::1") as first, sockets.admission("::1") as second, sockets.admission("::2") as other:
        assert (first, second, other) == (True, False, True)
    with sockets.admission("::1") as again:
        assert again


async def prove(face):
    """One round in the server's own loop, as its watch does."""
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(face.view.sockets.prove(), face.loop))


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
