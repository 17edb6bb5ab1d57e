"""Facts and their dispatcher: what nobody follows never waits, and one dispatcher serves at a time."""

import pytest
import sqlalchemy as sa

from core.database import transaction
from core.ids import new_id
from domain import bulk, facts
from domain.principals import SYSTEM
from models.broadcasts import Broadcast
from models.contacts import Contact
from models.facts import Fact, FactKind
from tests.support.factories import Team


@pytest.fixture(autouse=True)
async def none_waits(team: Team) -> None:
    """Other tests leave facts."""
    async with transaction() as session:
        while await facts.take(session):
            pass


async def waiting(team: Team) -> list[FactKind]:
    unserved = sa.select(Fact.kind).where(Fact.app_id == team.app_id, Fact.dispatched_at.is_(None))
    async with transaction() as session:
        return list(await session.scalars(unserved))


async def test_what_nobody_follows_is_not_dispatched(team: Team) -> None:
    async with transaction() as session:
        facts.record(session, SYSTEM, FactKind.CONTACT_CREATED, Contact(id=new_id(), app_id=team.app_id))
        await bulk.record_facts(session, team.app_id, FactKind.DEVICE_REGISTERED, "Device", [new_id(), new_id()])
    assert await waiting(team) == []


async def test_what_is_followed_is_taken_once_oldest_first(team: Team) -> None:
    ids = [new_id() for _ in range(3)]
    for id_ in ids:
        async with transaction() as session:
            facts.record(session, SYSTEM, FactKind.BROADCAST_STARTED, Broadcast(id=id_, app_id=team.app_id))
    async with transaction() as session:
        assert [fact.entity_id for fact in await facts.take(session, limit=2)] == ids[:2]
        assert [fact.entity_id for fact in await facts.take(session)] == ids[2:]
    assert await waiting(team) == []


async def test_facts_in_bulk_wait_when_followed(team: Team) -> None:
    async with transaction() as session:
        await bulk.record_facts(session, team.app_id, FactKind.BROADCAST_RESUMED, "Broadcast", [new_id(), new_id()])
    assert await waiting(team) == [FactKind.BROADCAST_RESUMED] * 2


async def test_one_dispatcher_at_a_time(team: Team) -> None:
    async with transaction() as session:
        facts.record(session, SYSTEM, FactKind.BROADCAST_STARTED, Broadcast(id=new_id(), app_id=team.app_id))
    async with transaction() as one, transaction() as other:
        assert len(await facts.take(one, limit=1)) == 1
        assert await facts.take(other) == []
