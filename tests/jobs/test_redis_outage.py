"""Redis gone for ten seconds under an open subscription and a sending that begins meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

import pytest

from tests.core.valkey_server import ValkeyServer
from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.processes import Api, clock, worker
from tests.test_broadcasts import PROGRESS, SEND, create, sent

AWAY_SECONDS = 10
FROZEN_SECONDS = 1.5
RECIPIENTS = 1_000


@pytest.fixture
async def valkey() -> AsyncIterator[ValkeyServer]:
    """A Valkey of its own."""
    server = ValkeyServer()
    await server.start()
    yield server
    server.stop()


@pytest.fixture
async def outage(valkey: ValkeyServer, team: Team) -> AsyncIterator[Graph]:
    """API, worker and clock on that Valkey."""
    own = {"REDIS_URL": valkey.url, "REPLYHQ_NAMESPACE": "outage"}
    api, others = Api(**own), (worker(**own), clock(**own))
    for process in (api, *others):
        process.start()
    graph = Graph(api.graphql, api.socket, team.token)
    yield graph
    await graph.close()
    for process in (api, *others):
        process.stop()


async def test_a_stream_and_a_sending_survive_redis(outage: Graph, valkey: ValkeyServer, team: Team) -> None:
    await factories.contacts(team.app_id, RECIPIENTS)
    broadcast_id = await create(outage)
    async with outage.connect() as socket:
        frames = socket.frames(PROGRESS, seconds=60, id=broadcast_id)
        assert (await anext(frames))["status"] == "DRAFT"
        valkey.stop()
        await outage.change(SEND, id=broadcast_id)
        await asyncio.sleep(AWAY_SECONDS)
        await valkey.start()
        seen = [frame async for frame in frames]
    assert (seen[-1]["status"], seen[-1]["stats"]["totalSent"]) == ("SENT", RECIPIENTS)


async def test_a_frozen_redis_does_not_hold_a_sending_back(outage: Graph, valkey: ValkeyServer, team: Team) -> None:
    await factories.contacts(team.app_id, 10)
    broadcast_ids = [await create(outage) for _ in range(2)]
    valkey.freeze()
    for broadcast_id in broadcast_ids:
        start = monotonic()
        await outage.change(SEND, id=broadcast_id)
        assert monotonic() - start < FROZEN_SECONDS
    valkey.thaw()
    for broadcast_id in broadcast_ids:
        await sent(outage, broadcast_id)
