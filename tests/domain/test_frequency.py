"""Frequency caps: exact, also when many reserve at once."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from core.clock import now
from core.database import transaction
from core.ids import new_id
from domain import frequency
from domain.frequency import Asked
from models.apps import App
from models.channels import ChannelKind
from models.frequency_marks import FrequencyMark
from tests.support import factories
from tests.support.factories import Team

PUSH, EMAIL = ChannelKind.PUSH, ChannelKind.EMAIL
HOUR = timedelta(hours=1)


@pytest.fixture
async def app(team: Team) -> App:
    """An app that sends three messages a day to a contact at most."""
    async with transaction() as session:
        found = (await session.scalars(sa.select(App).where(App.id == team.app_id))).one()
        found.frequency_cap_count, found.frequency_cap_hours = 3, 24
    return found


@pytest.fixture
async def ada(team: Team) -> UUID:
    return (await factories.person(team.app_id)).id


async def reserve(app: App, asked: Sequence[Asked], at: datetime | None = None) -> set[str]:
    async with transaction() as session:
        return await frequency.reserve(session, app, asked, at or now())


async def marks(app: App) -> set[str]:
    async with transaction() as session:
        return set(await session.scalars(sa.select(FrequencyMark.key).where(FrequencyMark.app_id == app.id)))


def sends(contact_id: UUID, count: int, channel: ChannelKind = PUSH) -> list[Asked]:
    return [(contact_id, channel, f"{new_id()}") for _ in range(count)]


def keys(asked: Sequence[Asked]) -> list[str]:
    return [key for _, _, key in asked]


async def test_what_is_over_the_cap_is_told_and_not_counted(app: App, ada: UUID) -> None:
    bob = (await factories.person(app.id)).id
    asked = [*sends(ada, 2), *sends(bob, 1), *sends(ada, 2, EMAIL), *sends(bob, 1, EMAIL)]
    assert await reserve(app, asked) == {keys(asked)[4]}
    assert await marks(app) == set(keys(asked)) - {keys(asked)[4]}
    more = [*sends(ada, 1, EMAIL), *sends(bob, 2)]
    assert await reserve(app, more) == {keys(more)[0], keys(more)[2]}


async def test_a_send_that_is_reserved_again_passes_and_counts_once(app: App, ada: UUID) -> None:
    asked = sends(ada, 3)
    assert await reserve(app, [*asked, asked[0]]) == set()
    assert await reserve(app, asked) == set()
    assert await reserve(app, [*sends(ada, 1), *asked]) != set()
    assert await marks(app) == set(keys(asked))


async def test_the_window_moves_on(app: App, ada: UUID) -> None:
    begun, asked = now(), sends(ada, 3)
    await reserve(app, asked[:2], begun)
    await reserve(app, asked[2:], begun + HOUR)
    late = sends(ada, 3)
    assert await reserve(app, late[:1], begun + 24 * HOUR - timedelta(microseconds=1)) == {keys(late)[0]}
    assert await reserve(app, late, begun + 24 * HOUR) == {keys(late)[2]}
    async with transaction() as session:
        ends = await session.scalar(sa.select(FrequencyMark.expires_at).where(FrequencyMark.key == asked[0][2]))
    assert ends == begun + 24 * HOUR


async def test_what_is_released_counts_no_more(app: App, ada: UUID) -> None:
    asked = sends(ada, 3)
    await reserve(app, asked)
    other = await factories.team()
    async with transaction() as session:
        await frequency.release(session, other.app_id, keys(asked))
        await frequency.release(session, app.id, keys(asked)[:2])
    assert await marks(app) == {keys(asked)[2]}
    assert len(await reserve(app, sends(ada, 3))) == 1


async def test_without_a_cap_nothing_is_counted(team: Team, ada: UUID) -> None:
    async with transaction() as session:
        app = (await session.scalars(sa.select(App).where(App.id == team.app_id))).one()
    assert await reserve(app, sends(ada, 50)) == set()
    assert await marks(app) == set()


async def test_who_is_gone_or_elsewhere_is_neither_counted_nor_over(app: App) -> None:
    other = await factories.team()
    theirs = (await factories.person(other.app_id)).id
    assert await reserve(app, [*sends(new_id(), 5), *sends(theirs, 5)]) == set()
    assert await marks(app) == set()


async def test_twenty_at_once_get_three_through(app: App, ada: UUID) -> None:
    asked = sends(ada, 20)
    over = await asyncio.gather(*(reserve(app, [one]) for one in asked))
    assert sum(not one for one in over) == 3
    assert len(await marks(app)) == 3


async def test_batches_of_the_same_people_in_any_order_wait_and_never_in_a_circle(app: App) -> None:
    people = [(await factories.person(app.id)).id for _ in range(10)]
    batches = [[(one, PUSH, f"{new_id()}") for one in people] for _ in range(12)]
    over = await asyncio.gather(*(reserve(app, batch[:: 1 if no % 2 else -1]) for no, batch in enumerate(batches)))
    assert sum(map(len, over)) == 9 * len(people)
    async with transaction() as session:
        own = sa.select(FrequencyMark.contact_id, sa.func.count()).where(FrequencyMark.app_id == app.id)
        held = (await session.execute(own.group_by(FrequencyMark.contact_id))).all()
    assert {count for _, count in held} == {3}


async def test_the_same_send_twenty_times_at_once_is_one(app: App, ada: UUID) -> None:
    asked = sends(ada, 1)
    assert await asyncio.gather(*(reserve(app, asked) for _ in range(20))) == [set()] * 20
    assert await marks(app) == set(keys(asked))
