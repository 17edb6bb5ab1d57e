"""Clicks and opens at the rules: forward only, counted once, machines apart, devices and links alike."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine

from core.clock import now
from core.database import transaction
from core.ids import new_id
from domain import clicks, in_app_messages, reports
from domain.broadcasts import receipts
from domain.broadcasts.chunks import send_key
from domain.broadcasts.receipts import Step
from domain.broadcasts.results import Result
from domain.in_app_messages import Draft, ReceiptKind, Report
from models.broadcasts import Broadcast, BroadcastRecipient, BroadcastTally, RecipientStatus
from tests.support import factories
from tests.support.factories import Team
from tests.support.sending import begin, leased, record
from tests.support.waiting import until, waits_for_a_lock

COUNTS = (BroadcastTally.delivered, BroadcastTally.opened, BroadcastTally.clicked, BroadcastTally.machine_opened)


async def counts(broadcast: Broadcast) -> tuple[int, ...]:
    """Delivered, opened, clicked, opened by a machine."""
    async with transaction() as session:
        sums = sa.select(*map(sa.func.sum, COUNTS)).where(BroadcastTally.broadcast_id == broadcast.id)
        return tuple((await session.execute(sums)).one())


async def recipient(broadcast: Broadcast, seq: int = 1) -> BroadcastRecipient:
    async with transaction() as session:
        return (
            await session.scalars(sa.select(BroadcastRecipient).filter_by(broadcast_id=broadcast.id, seq=seq))
        ).one()


async def send(broadcast: Broadcast) -> None:
    """As a worker does, in one micro-batch."""
    lease = await leased(broadcast)
    await record(lease, *(Result(seq) for seq in await begin(lease)))


async def test_a_click_is_an_open_and_a_delivery(team: Team) -> None:
    broadcast = await factories.sending(team, 2)
    await send(broadcast)
    at = now()
    with time_machine.travel(at, tick=False):
        await clicks.clicked(broadcast.id, 2)
    row = await recipient(broadcast, 2)
    assert row.status is RecipientStatus.CLICKED
    assert (row.delivered_at, row.opened_at, row.clicked_at) == (at, at, at)
    assert row.machine_opened_at is None
    assert (await recipient(broadcast, 1)).status is RecipientStatus.SENT
    assert await counts(broadcast) == (1, 1, 1, 0)


async def test_a_click_before_the_result_of_the_send(team: Team) -> None:
    broadcast = await factories.sending(team, 1)
    await clicks.clicked(broadcast.id, 1)
    await send(broadcast)
    row = await recipient(broadcast)
    assert (row.status, row.sent_at is not None) == (RecipientStatus.CLICKED, True)
    assert await counts(broadcast) == (1, 1, 1, 0)


async def test_the_same_many_times_at_once_counts_once(team: Team) -> None:
    broadcast = await factories.sending(team, 1)
    await asyncio.gather(*(clicks.clicked(broadcast.id, 1) for _ in range(20)))
    first = await recipient(broadcast)
    await asyncio.gather(*(clicks.opened(broadcast.id, 1, by_machine=False) for _ in range(20)))
    assert await counts(broadcast) == (1, 1, 1, 0)
    assert (await recipient(broadcast)).opened_at == first.opened_at


async def test_it_only_goes_forward(team: Team) -> None:
    broadcast = await factories.sending(team, 1)
    await clicks.opened(broadcast.id, 1, by_machine=False)
    assert ((await recipient(broadcast)).status, await counts(broadcast)) == (RecipientStatus.OPENED, (1, 1, 0, 0))
    await clicks.clicked(broadcast.id, 1)
    assert ((await recipient(broadcast)).status, await counts(broadcast)) == (RecipientStatus.CLICKED, (1, 1, 1, 0))
    await clicks.opened(broadcast.id, 1, by_machine=False)
    assert ((await recipient(broadcast)).status, await counts(broadcast)) == (RecipientStatus.CLICKED, (1, 1, 1, 0))


async def test_what_a_machine_opens_is_counted_apart(team: Team) -> None:
    broadcast = await factories.sending(team, 1)
    await send(broadcast)
    at = now()
    for later in range(2):
        with time_machine.travel(at + later * timedelta(minutes=1), tick=False):
            await clicks.opened(broadcast.id, 1, by_machine=True)
    row = await recipient(broadcast)
    assert (row.status, row.delivered_at, row.opened_at) == (RecipientStatus.SENT, None, None)
    assert row.machine_opened_at == at
    assert await counts(broadcast) == (0, 0, 0, 1)
    await clicks.opened(broadcast.id, 1, by_machine=False)
    assert await counts(broadcast) == (1, 1, 0, 1)


async def test_a_person_and_a_machine_in_one_batch(team: Team) -> None:
    broadcast = await factories.sending(team, 3)
    asked = [clicks.opened(broadcast.id, seq, by_machine=machine) for seq in (3, 1, 2) for machine in (True, False)]
    await asyncio.gather(*asked, clicks.clicked(broadcast.id, 2))
    assert await counts(broadcast) == (3, 3, 1, 3)
    statuses = [(await recipient(broadcast, seq)).status for seq in (1, 2, 3)]
    assert statuses == [RecipientStatus.OPENED, RecipientStatus.CLICKED, RecipientStatus.OPENED]


async def test_a_failed_recipient_stays_failed_and_is_counted(team: Team) -> None:
    broadcast = await factories.sending(team, 1)
    async with transaction() as session:
        await session.execute(
            sa.update(BroadcastRecipient).filter_by(broadcast_id=broadcast.id).values(status=RecipientStatus.FAILED)
        )
    await clicks.clicked(broadcast.id, 1)
    assert (await recipient(broadcast)).status is RecipientStatus.FAILED
    assert await counts(broadcast) == (1, 1, 1, 0)


async def test_nobody_there_nothing_counted(team: Team) -> None:
    broadcast = await factories.sending(team, 1)
    await asyncio.gather(clicks.clicked(broadcast.id, 2), clicks.clicked(new_id(), 1))
    assert await counts(broadcast) == (0, 0, 0, 0)


@pytest.mark.parametrize("link_first", [True, False])
async def test_a_device_and_a_link_tell_of_one_click(team: Team, link_first: bool) -> None:
    broadcast = await factories.sending(team, 1)
    await send(broadcast)
    device_id = (await recipient(broadcast)).device_id
    key = send_key(broadcast.id, 1)
    async with transaction() as session:
        await in_app_messages.store(session, team.app_id, [Draft(key, device_id, "Hello", "World", None)])

    async def by_device() -> None:
        report = Report(device_id, in_app_messages.message_id(key), ReceiptKind.CLICKED)
        assert await reports.taken.ask([report]) == 1

    ways = [clicks.clicked(broadcast.id, 1), by_device()]
    for way in ways if link_first else reversed(ways):
        await way
    assert await counts(broadcast) == (1, 1, 1, 0)


async def test_rows_are_locked_in_their_order_whatever_that_of_the_places(team: Team) -> None:
    """As the sender locks them: so of two that have rows in common, one waits for the other and neither for both."""
    broadcast = await factories.sending(team, 3)
    rows = sa.select(BroadcastRecipient.seq).filter_by(broadcast_id=broadcast.id).order_by(BroadcastRecipient.seq)

    async def tell() -> None:
        async with transaction() as session:
            await receipts.advance(session, {(broadcast.id, seq): {Step.CLICKED} for seq in (3, 2, 1)}, now())

    async with transaction() as session:
        await session.scalars(rows.filter_by(seq=2).with_for_update())
        telling = asyncio.create_task(tell())
        await until(waits_for_a_lock)
        async with transaction() as other:
            assert list(await other.scalars(rows.with_for_update(skip_locked=True))) == [3]
    await telling
    assert await counts(broadcast) == (3, 3, 3, 0)


async def test_many_batches_at_once_over_the_same_rows(team: Team) -> None:
    one, two = await factories.sending(team, 30), await factories.expanded(team)

    async def tell(places: list[tuple[UUID, int]]) -> None:
        async with transaction() as session:
            await receipts.advance(session, {place: {Step.CLICKED, Step.MACHINE_OPENED} for place in places}, now())

    places = [(broadcast.id, seq) for broadcast in (one, two) for seq in range(1, 31)]
    await asyncio.gather(*(tell(some) for some in (places, places[::-1], places[10:50], places[::-2])))
    assert await counts(one) == await counts(two) == (30, 30, 30, 30)
