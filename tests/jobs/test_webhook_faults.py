"""Workers killed between sending and writing down: each event comes again under the same id, and none is lost."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import sqlalchemy as sa

from core.database import transaction
from domain import bulk
from domain.webhooks import pace
from models.webhooks import DeliveryStatus, Webhook, WebhookDelivery, WebhookEventType
from tests.support import factories, hooks
from tests.support.factories import Team
from tests.support.hook_receiver import OK, Receiver, receiving, says
from tests.support.processes import Process, clock, worker
from tests.support.waiting import until

CREATED = WebhookEventType.CONTACT_CREATED
LOOPBACK = {"REPLYHQ_OUTBOUND_ALLOW_LOOPBACK": "true"}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture
async def workers(database: None) -> AsyncIterator[list[Process]]:
    """Two workers, which are not started yet, and a clock."""
    await hooks.quiet()
    made, ticking = [worker(**LOOPBACK), worker(**LOOPBACK)], clock(**LOOPBACK)
    ticking.start()
    yield made
    for process in (*made, ticking):
        await asyncio.to_thread(process.stop)
    await hooks.quiet()


async def happens(team: Team, count: int) -> None:
    """So many contacts are created, a thousand in a transaction."""
    for start in range(0, count, 1_000):
        async with transaction() as session:
            names = [{"name": f"User {no}"} for no in range(start, min(start + 1_000, count))]
            await bulk.add_contacts(session, team.app_id, names)


async def by_status(webhook: Webhook) -> Counter[DeliveryStatus]:
    async with transaction() as session:
        of = sa.select(WebhookDelivery.status, sa.func.count()).where(WebhookDelivery.webhook_id == webhook.id)
        return Counter(dict((await session.execute(of.group_by(WebhookDelivery.status))).all()))


async def all_arrive(webhook: Webhook, receiver: Receiver, count: int, seconds: float) -> None:
    """Each is DELIVERED, and the receiver has had each, whatever the rows say."""

    async def look() -> Counter[DeliveryStatus]:
        return await by_status(webhook)

    await until(look, lambda seen: seen == {DeliveryStatus.DELIVERED: count}, seconds)
    told = {UUID(one.id.removeprefix("msg_")) for one in receiver.got}
    assert told == {row.event_id for row in await hooks.of(webhook)}
    assert len({one.said["data"]["contact"]["id"] for one in receiver.got}) == count


async def test_a_worker_killed_between_sending_and_writing_down(
    team: Team, receiver: Receiver, workers: list[Process]
) -> None:
    webhook, secret = await factories.webhook(team, receiver.url, CREATED)
    answered, asks = says(OK), asyncio.Event()

    async def falls_silent(writer: asyncio.StreamWriter) -> None:
        if len(receiver.got) > 100:
            await asks.wait()
        await answered(writer)

    receiver.talk = falls_silent
    await happens(team, 300)
    one, _ = workers
    one.start()

    async def in_hand() -> int:
        return receiver.open

    await until(in_hand, lambda count: count == pace.AT_ONCE, 30)
    sent = {got.id for got in receiver.got[-pace.AT_ONCE :]}
    one.kill()
    receiver.talk = answered
    asks.set()
    one.start()
    await all_arrive(webhook, receiver, 300, 60)
    twice = {id_ for id_, times in receiver.ids.items() if times > 1}
    assert sent <= twice
    assert len(twice) <= 2 * pace.AT_ONCE
    assert max(receiver.ids.values()) == 2
    assert all(got.verify(secret) == got.said for got in receiver.got)


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
async def test_ten_thousand_while_workers_are_killed(
    team: Team, receiver: Receiver, workers: list[Process], seed: int
) -> None:
    webhook, _ = await factories.webhook(team, receiver.url, CREATED)
    chance = random.Random(seed)
    receiver.talk = says(OK, pause=0.01)
    await happens(team, 10_000)
    for process in workers:
        process.start()
    killed = 0

    async def has_begun() -> int:
        return len(receiver.got)

    await until(has_begun, lambda count: count > 0, 30)
    while len(receiver.got) < 10_000 and killed < 6:
        await asyncio.sleep(chance.uniform(0.5, 3.0))
        hurt = chance.choice(workers)
        hurt.kill()
        await asyncio.to_thread(hurt.start)
        killed += 1
    await all_arrive(webhook, receiver, 10_000, 300)
    doubled = sum(times > 1 for times in receiver.ids.values())
    print(f"\n{killed} kills, {doubled} of 10,000 came twice")  # noqa: T201 - `make faults` shows it
    assert killed > 0
    assert doubled <= killed * 2 * pace.AT_ONCE
