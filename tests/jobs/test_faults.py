"""Real processes killed in the middle of a sending: nobody is left out, nobody gets it twice."""

from uuid import UUID

import sqlalchemy as sa
from redis.asyncio import Redis

from core.config import config
from core.database import transaction
from models.broadcasts import BroadcastRecipient
from models.in_app_messages import InAppMessage
from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.processes import Process
from tests.support.waiting import until
from tests.test_broadcasts import SEND, STATS, create, sent

RECIPIENTS = 6_000


async def total_sent(graph: Graph, broadcast_id: str) -> int:
    return (await graph.data(STATS, id=broadcast_id))["broadcast"]["stats"]["totalSent"]


async def messages_per_device(team: Team) -> list[int]:
    """How many messages each device of the app has, in no order."""
    async with transaction() as session:
        counted = sa.select(sa.func.count()).where(InAppMessage.app_id == team.app_id).group_by(InAppMessage.device_id)
        return list(await session.scalars(counted))


async def rows_sent(broadcast_id: str) -> int:
    async with transaction() as session:
        of_it = BroadcastRecipient.broadcast_id == UUID(broadcast_id)
        counted = sa.select(sa.func.count()).where(of_it, BroadcastRecipient.sent_at.is_not(None))
        return await session.scalar(counted) or 0


async def forget_wake_ups() -> None:
    """Drop every message of the broker, as a lost or flushed Redis would."""
    async with Redis.from_url(config().redis_url) as client:
        keys = [key async for key in client.scan_iter(match=f"{config().namespace}:jobs*")]
        assert keys
        await client.delete(*keys)


async def check_complete(graph: Graph, team: Team, broadcast_id: str) -> None:
    stats = (await sent(graph, broadcast_id))["stats"]
    assert (stats["totalRecipients"], stats["totalSent"], stats["totalFailed"]) == (RECIPIENTS, RECIPIENTS, 0)
    assert await rows_sent(broadcast_id) == RECIPIENTS
    assert await messages_per_device(team) == [1] * RECIPIENTS


async def test_a_worker_killed_in_mid_send(graph: Graph, team: Team, worker: Process) -> None:
    await factories.contacts(team.app_id, RECIPIENTS)
    broadcast_id = await create(graph)
    await graph.change(SEND, id=broadcast_id)
    before = await until(lambda: total_sent(graph, broadcast_id), lambda count: count > 0)
    worker.kill()
    assert 0 < before < RECIPIENTS
    worker.start()
    await check_complete(graph, team, broadcast_id)


async def test_redis_flushed_in_mid_send(graph: Graph, team: Team, worker: Process) -> None:
    await factories.contacts(team.app_id, RECIPIENTS)
    broadcast_id = await create(graph)
    await graph.change(SEND, id=broadcast_id)
    await until(lambda: total_sent(graph, broadcast_id), lambda count: count > 0)
    await forget_wake_ups()
    await check_complete(graph, team, broadcast_id)
