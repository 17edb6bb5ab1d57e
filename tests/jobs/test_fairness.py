"""A small broadcast beside a large one, with real processes."""

from uuid import UUID

from core.database import transaction
from domain.broadcasts import starting
from models.broadcasts import Broadcast, BroadcastStatus
from tests.jobs.test_faults import rows_sent
from tests.support import factories
from tests.support.factories import Team, principal
from tests.support.processes import Process
from tests.support.waiting import until

LARGE = 15_000


async def send(team: Team, recipients: int) -> UUID:
    await factories.contacts(team.app_id, recipients)
    draft = await factories.broadcast(team)
    async with transaction() as session:
        return (await starting.send(session, principal(team), draft.id)).id


async def status(broadcast_id: UUID) -> BroadcastStatus:
    async with transaction() as session:
        return (await session.get_one(Broadcast, broadcast_id)).status


async def test_a_small_broadcast_does_not_wait_for_a_large_one(team: Team, worker: Process) -> None:
    large = await send(team, LARGE)
    await until(lambda: rows_sent(str(large)))
    small = await send(await factories.team(), 10)
    await until(lambda: status(small), lambda seen: seen is BroadcastStatus.SENT)
    assert await status(large) is BroadcastStatus.SENDING
    await until(lambda: status(large), lambda seen: seen is BroadcastStatus.SENT, seconds=40)
