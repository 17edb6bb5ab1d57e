"""Whoever loses their rights loses their websockets: two API processes, one that ends the rights, one that notices."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from websockets.exceptions import ConnectionClosed

from core.clock import now
from core.database import transaction
from models.devices import Device
from models.sessions import UserSession
from models.team import Membership, Role
from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import Graph, Socket
from tests.support.processes import Api
from tests.test_broadcast_changes import record, watching
from tests.test_broadcasts import PROGRESS, RECEIVE, create

WITHIN_SECONDS = 5.0
SESSIONS = "{ sessions { id } }"
REVOKE = "mutation($input: RevokeSessionInput!) { revokeSession(input: $input) { userErrors { code } } }"
SIGN_OUT = "mutation { signOut { userErrors { code } } }"
ERASED = "This device is not registered any more. Register it again."
ENDED = "Forbidden: The session has ended. Sign in again."


@pytest.fixture(scope="module")
def other_api(database: None) -> Iterator[Api]:
    """A second API process."""
    started = Api()
    started.start()
    yield started
    started.stop()


@dataclass
class Asker:
    """A person at two processes: their websocket is at one, what happens to them happens at the other."""

    team: Team
    here: Graph
    there: Graph


@pytest.fixture
async def asker(graph: Graph, other_api: Api, team: Team) -> AsyncIterator[Asker]:
    there = Graph(other_api.graphql, other_api.socket, team.token)
    yield Asker(team, graph, there)
    await there.close()


async def closing(socket: Socket) -> tuple[int | None, str | None, list[Any]]:
    """Read on until the server closes, as it must within five seconds: code, reason, and what came before."""
    seen: list[Any] = []
    async with asyncio.timeout(WITHIN_SECONDS):
        try:
            while True:
                seen.append(await socket.receive())
        except ConnectionClosed:
            return socket.wire.close_code, socket.wire.close_reason, seen


async def change(statement: Any) -> None:
    async with transaction() as session:
        await session.execute(statement)


async def revoke(asker: Asker) -> None:
    (session,) = (await asker.there.data(SESSIONS))["sessions"]
    await asker.there.change(REVOKE, id=session["id"])


async def sign_out(asker: Asker) -> None:
    await asker.there.data(SIGN_OUT)


def own(asker: Asker) -> Any:
    return sa.update(UserSession).where(UserSession.user_id == asker.team.user_id)


async def grow_old(asker: Asker) -> None:
    await change(own(asker).values(expires_at=now() - timedelta(seconds=1)))


async def stay_idle(asker: Asker) -> None:
    await change(own(asker).values(last_active_at=now() - timedelta(minutes=30, seconds=1)))


async def demote(asker: Asker) -> None:
    mine = sa.and_(Membership.user_id == asker.team.user_id, Membership.app_id == asker.team.app_id)
    await change(sa.update(Membership).where(mine).values(role=Role.AGENT))


async def remove(asker: Asker) -> None:
    await change(sa.delete(Membership).where(Membership.user_id == asker.team.user_id))


WAYS = [
    (revoke, ENDED),
    (sign_out, ENDED),
    (grow_old, ENDED),
    (stay_idle, ENDED),
    (remove, ENDED),
    (demote, "Forbidden: rights have changed"),
]


@pytest.mark.parametrize(("lose", "reason"), WAYS, ids=[way[0].__name__ for way in WAYS])
async def test_a_person_who_loses_their_rights_loses_their_websockets(
    asker: Asker, lose: Callable[[Asker], Awaitable[None]], reason: str
) -> None:
    colleague = asker.here.as_((await factories.team(Role.OWNER, asker.team.app_id)).token)
    broadcast_id = await create(colleague)
    async with asker.here.connect() as socket, asker.here.connect() as idle, colleague.connect() as stays:
        for one in (socket, stays):
            await one.start(PROGRESS, id=broadcast_id)
            assert (await one.receive())["type"] == "next"

        await lose(asker)

        for one in (socket, idle):
            code, said, seen = await closing(one)
            assert (code, said, seen) == (4403, reason, [])
        await stays.wire.send('{"type": "ping"}')
        assert (await stays.receive())["type"] == "pong"


@pytest.mark.parametrize("lose", [revoke, sign_out])
async def test_who_lost_their_rights_is_told_nothing_of_what_happens_then(
    asker: Asker, lose: Callable[[Asker], Awaitable[None]]
) -> None:
    """The event follows on the heels of the change, at whichever process, and others are told."""
    colleague = asker.here.as_((await factories.team(Role.OWNER, asker.team.app_id)).token)
    row = await factories.broadcast(asker.team)
    async with watching(asker.here) as gone, watching(colleague) as stays:
        for one in (gone, stays):
            assert (await one.receive())["type"] == "next"
        await lose(asker)
        await record(row)
        assert await closing(gone) == (4403, ENDED, [])
        assert (await stays.receive())["payload"]["data"]["broadcastChanged"]["sequence"] == 1


async def test_an_erased_device_gets_nothing_more(asker: Asker) -> None:
    gone, stays = await factories.contacts(asker.team.app_id, 2)
    async with receiving(asker.here, gone) as socket, receiving(asker.here, stays) as other:
        await change(sa.delete(Device).where(Device.id == gone))

        assert await closing(socket) == (4403, f"Forbidden: {ERASED}", [])
        await other.wire.send('{"type": "ping"}')
        assert (await other.receive())["type"] == "pong"


@asynccontextmanager
async def receiving(graph: Graph, device_id: UUID) -> AsyncIterator[Socket]:
    """A device's websocket that waits for messages."""
    async with graph.as_(await factories.device_token(device_id)).connect() as socket:
        await socket.start(RECEIVE)
        yield socket
