"""Streams under faults: an API is killed, the bus restarts, writers go on; nobody misses or repeats anything."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from core.database import transaction
from core.pubsub import hub
from domain.broadcasts import queries
from domain.principals import SYSTEM
from models.broadcasts import Broadcast
from models.facts import FactKind
from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.own_servers import OwnServers, used
from tests.support.processes import Api
from tests.test_broadcast_changes import CHANGED

TOTAL = 300


@pytest.fixture
async def own() -> AsyncIterator[OwnServers]:
    async with used() as servers:
        yield servers
        await hub().disconnect()


async def write(row: Broadcast, count: int) -> None:
    for _ in range(count):
        async with transaction() as session:
            queries.record(session, SYSTEM, FactKind.BROADCAST_UPDATED, row)
        await asyncio.sleep(0.02)


async def watch(api: Api, team: Team, ready: asyncio.Event) -> list[int]:
    """A client that comes back whenever it is cut off: the numbers it was told."""
    cursor, seen = None, list[int]()
    while len(seen) < TOTAL:
        with suppress(OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
            async with Graph(api.graphql, api.socket, team.token).connect() as socket:
                async for frame in socket.frames(CHANGED, after=cursor):
                    ready.set()
                    assert frame["__typename"] in {"BroadcastsSnapshot", "BroadcastChange"}, frame
                    cursor = frame["cursor"]
                    seen += [frame["sequence"]] if frame["__typename"] == "BroadcastChange" else []
                    if len(seen) >= TOTAL:
                        break
        await asyncio.sleep(0.05)
    return seen


async def test_a_killed_api_and_a_restarted_bus_cost_nobody_an_event(own: OwnServers) -> None:
    team = await factories.team()
    row = await factories.broadcast(team)
    apis = [Api(REPLYHQ_WS_MAX_CONNECTIONS_PER_USER="100"), Api()]
    for api in apis:
        await asyncio.to_thread(api.start)
    try:
        ready = [asyncio.Event() for _ in range(6)]
        clients = [asyncio.create_task(watch(apis[no % 2], team, ready[no])) for no in range(6)]
        await asyncio.gather(*(one.wait() for one in ready))
        writing = asyncio.gather(*(write(row, TOTAL // 3) for _ in range(3)))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(apis[0].kill)
        await asyncio.to_thread(apis[0].start)
        await own.restart_valkey()
        await writing
        async with asyncio.timeout(60):
            assert await asyncio.gather(*clients) == [list(range(1, TOTAL + 1))] * 6
    finally:
        for api in apis:
            api.stop()
