"""A small broadcast beside a large one, with real processes."""

from datetime import datetime
from uuid import UUID

from core.database import transaction
from domain.broadcasts import starting
from models.broadcasts import Broadcast
from tests.jobs.test_faults import rows_sent
from tests.support import factories
from tests.support.factories import Team, principal
from tests.support.processes import Process
from tests.support.waiting import until

LARGE = 30_000


async def drawn(team: Team, recipients: int) -> Broadcast:
    await factories.contacts(team.app_id, recipients)
    return await factories.broadcast(team)


async def send(team: Team, draft: Broadcast) -> UUID:
    async with transaction() as session:
        return (await starting.send(session, principal(team), draft.id)).id


async def completed(broadcast_id: UUID) -> datetime | None:
    async with transaction() as session:
        return (await session.get_one(Broadcast, broadcast_id)).completed_at


async def test_a_small_broadcast_does_not_wait_for_a_large_one(team: Team, worker: Process) -> None:
    others = await factories.team()
    draft = await drawn(others, 10)
    large = await send(team, await drawn(team, LARGE))
    await until(lambda: rows_sent(str(large)))
    small = await send(others, draft)
    small_at, large_at = await until(lambda: completed(small)), await until(lambda: completed(large))
    assert small_at
    assert large_at
    assert small_at < large_at
