"""What becomes of each recipient: sent, deferred, skipped, uncertain; decided at the moment of sending."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine

from core.clock import now
from core.database import transaction
from core.errors import Conflict
from domain import contacts, opt_outs, reports
from domain.broadcasts import (
    analytics,
    batches,
    chunks,
    deciding,
    expansion,
    progress,
    receipts,
    redoing,
    starting,
    turns,
    variants,
)
from domain.broadcasts.receipts import PushReport, Step
from domain.broadcasts.results import ATTEMPTS_MOST, EXHAUSTED, Result
from domain.in_app_messages import ReceiptKind
from domain.principals import SYSTEM
from models.apps import App
from models.broadcasts import (
    Broadcast,
    BroadcastChunk,
    BroadcastRecipient,
    BroadcastStatus,
    ChunkStatus,
    QuietPolicy,
    RecipientStatus,
    Redo,
)
from models.channels import ChannelKind
from models.contacts import Contact
from models.devices import Device, Platform
from models.opt_outs import OptOutReason
from tests.support import factories
from tests.support.factories import Team, principal
from tests.support.sending import begin, failed, intended, leased, record
from tests.support.waiting import until, waits_for_a_lock

PUSH = [ChannelKind.PUSH.value]
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


async def rows(broadcast: Broadcast) -> list[BroadcastRecipient]:
    async with transaction() as session:
        own = sa.select(BroadcastRecipient).filter_by(broadcast_id=broadcast.id).order_by(BroadcastRecipient.seq)
        return list(await session.scalars(own))


async def stands(broadcast: Broadcast) -> list[tuple[str, str | None]]:
    return [(row.status.value, row.error_code) for row in await rows(broadcast)]


async def chunk(broadcast: Broadcast) -> BroadcastChunk:
    async with transaction() as session:
        return (await session.scalars(sa.select(BroadcastChunk).filter_by(broadcast_id=broadcast.id))).one()


async def stats(broadcast: Broadcast) -> progress.Stats:
    async with transaction() as session:
        return (await progress.stats(session, [await session.get_one(Broadcast, broadcast.id)]))[0]


async def status(broadcast: Broadcast) -> BroadcastStatus:
    async with transaction() as session:
        return (await session.get_one(Broadcast, broadcast.id)).status


async def ripen(broadcast: Broadcast) -> None:
    """As the clock does, until the chunk is ready."""
    async with transaction() as session:
        await turns.ripen(session)
    assert (await chunk(broadcast)).status is ChunkStatus.READY


async def with_tokens(team: Team) -> None:
    async with transaction() as session:
        own = sa.update(Device).where(Device.app_id == team.app_id)
        await session.execute(own.values(push_token=sa.cast(Device.id, sa.Text)))


async def of_app(team: Team, **values: Any) -> None:
    async with transaction() as session:
        await session.execute(sa.update(App).where(App.id == team.app_id).values(**values))


async def set_contacts(team: Team, **values: Any) -> None:
    async with transaction() as session:
        await session.execute(sa.update(Contact).where(Contact.app_id == team.app_id).values(**values))


async def finish(broadcast: Broadcast) -> list[int]:
    """Send what can be sent now; the numbers."""
    lease, sent = await leased(broadcast), list[int]()
    while seqs := await begin(lease):
        await record(lease, *(Result(seq) for seq in seqs))
        sent += seqs
    return sent


async def push_to(team: Team, people: int, **fields: Any) -> Broadcast:
    """A push broadcast whose recipients are written."""
    await factories.contacts(team.app_id, people)
    await with_tokens(team)
    return await factories.expanded(team, channels=PUSH, **fields)


# --- what nobody knows


async def test_what_was_with_a_push_provider_when_its_worker_died_is_uncertain_and_never_sent_again(team: Team) -> None:
    broadcast = await push_to(team, 3)
    assert await begin(await leased(broadcast)) == [1, 2, 3]
    assert (await chunk(broadcast)).blind == [1, 2, 3]
    with time_machine.travel(now() + timedelta(seconds=60)):
        assert await finish(broadcast) == []
    assert await stands(broadcast) == [("UNCERTAIN", "INTERRUPTED")] * 3
    assert (await status(broadcast), (await stats(broadcast)).total_uncertain) == (BroadcastStatus.SENT, 3)


async def test_what_goes_in_app_is_sent_again_with_the_same_key(team: Team) -> None:
    broadcast = await factories.sending(team, 2)
    assert await begin(await leased(broadcast)) == [1, 2]
    assert (await chunk(broadcast)).blind == []
    with time_machine.travel(now() + timedelta(seconds=60)):
        assert await finish(broadcast) == [1, 2]


async def test_a_report_settles_what_was_uncertain(team: Team) -> None:
    broadcast = await push_to(team, 2)
    lease = await leased(broadcast)
    await begin(lease)
    await record(lease, *(Result(seq, RecipientStatus.UNCERTAIN, "NO_ANSWER") for seq in (1, 2)))
    async with transaction() as session:
        await receipts.advance(session, {(broadcast.id, 1): {Step.OPENED}}, now())
    first, second = await rows(broadcast)
    assert (first.status, first.error_code, first.sent_at) == (RecipientStatus.OPENED, None, first.opened_at)
    assert second.status is RecipientStatus.UNCERTAIN
    seen = await stats(broadcast)
    assert (seen.total_sent, seen.total_uncertain, seen.total_opened) == (1, 1, 1)


@pytest.mark.parametrize(
    ("what", "again", "after"), [(Redo.UNCERTAIN, [2], (2, 0)), (Redo.UNCERTAIN_AS_SENT, [], (2, 0))]
)
async def test_an_operator_settles_what_is_uncertain(
    team: Team, what: Redo, again: list[int], after: tuple[int, int]
) -> None:
    broadcast = await push_to(team, 2)
    lease = await leased(broadcast)
    await begin(lease)
    await record(lease, Result(1), Result(2, RecipientStatus.UNCERTAIN, "NO_ANSWER"))
    assert await begin(lease) == []
    assert await status(broadcast) is BroadcastStatus.SENT
    async with transaction() as session:
        assert (await redoing.ask(session, principal(team), broadcast.id, what)).status is BroadcastStatus.SENDING
    assert await finish(broadcast) == again
    seen = await stats(broadcast)
    assert (seen.total_sent, seen.total_uncertain) == after
    assert await status(broadcast) is BroadcastStatus.SENT


async def test_an_operators_word_that_comes_while_the_chunk_is_owned_is_heard_after(team: Team) -> None:
    broadcast = await push_to(team, 2)
    lease = await leased(broadcast)
    await begin(lease)
    await record(lease, Result(1), failed(2, "UNREGISTERED"))
    async with transaction() as session:
        await redoing.ask(session, principal(team), broadcast.id, Redo.FAILED)
    assert await begin(lease) == []
    assert await finish(broadcast) == [2]
    seen = await stats(broadcast)
    assert (seen.total_sent, seen.total_failed) == (2, 0)


async def test_an_operator_and_a_worker_at_its_end_do_not_wait_for_each_other(team: Team) -> None:
    broadcast = await push_to(team, 1)
    lease = await leased(broadcast)
    await begin(lease)
    await record(lease, failed(1, "UNREGISTERED"))

    async def ask() -> None:
        async with transaction() as session:
            await redoing.ask(session, principal(team), broadcast.id, Redo.FAILED)

    async with transaction() as session:
        held = await chunks.owned(session, lease)
        asking = asyncio.create_task(ask())
        await until(waits_for_a_lock)
        await chunks.rest(session, held.chunk)
    await asking
    assert await finish(broadcast) == [1]


# --- later


async def test_a_provider_that_says_later_is_asked_again_when_it_says(team: Team) -> None:
    broadcast = await push_to(team, 2)
    lease = await leased(broadcast)
    await begin(lease)
    at = now() + timedelta(minutes=5)
    await record(lease, Result(1), Result(2, RecipientStatus.DEFERRED, "RATE_LIMITED", at, is_retry=True))
    assert await begin(lease) == []
    held = await chunk(broadcast)
    assert (held.status, held.due_at) == (ChunkStatus.WAITING, at)
    assert await status(broadcast) is BroadcastStatus.SENDING
    with time_machine.travel(at + timedelta(seconds=1)):
        await ripen(broadcast)
        assert await finish(broadcast) == [2]
    assert await status(broadcast) is BroadcastStatus.SENT


async def test_tries_end(team: Team) -> None:
    broadcast = await push_to(team, 1)
    at = now()
    for attempt in range(1, ATTEMPTS_MOST + 1):
        with time_machine.travel(at):
            lease = await leased(broadcast)
            assert await begin(lease) == [1]
            await record(lease, Result(1, RecipientStatus.DEFERRED, "PROVIDER_ERROR", is_retry=True))
            assert await begin(lease) == []
        (row,) = await rows(broadcast)
        assert row.attempts == attempt
        if attempt < ATTEMPTS_MOST:
            assert row.deferred_until is not None
            pause = (row.deferred_until - at).total_seconds()
            assert 0.8 * min(15 * 2 ** (attempt - 1), 3_600) <= pause <= 1.2 * min(15 * 2 ** (attempt - 1), 3_600) + 5
            at = row.deferred_until + timedelta(seconds=1)
            with time_machine.travel(at):
                await ripen(broadcast)
    assert await stands(broadcast) == [("FAILED", EXHAUSTED)]
    assert await status(broadcast) is BroadcastStatus.FAILED


async def test_each_zone_gets_it_at_its_own_time(team: Team) -> None:
    zones = ("Pacific/Auckland", "Europe/Berlin", None)
    await factories.contacts(team.app_id, len(zones))
    async with transaction() as session:
        people = sa.select(Contact).where(Contact.app_id == team.app_id).order_by(Contact.id)
        for contact, zone in zip(await session.scalars(people), zones, strict=True):
            contact.time_zone = zone
    with time_machine.travel(datetime(2026, 6, 30, 21, tzinfo=UTC), tick=False):
        broadcast = await factories.expanded(team, local_at=datetime(2026, 7, 1, 9), time_zone="UTC")  # noqa: DTZ001
        assert await finish(broadcast) == [1]
        assert await stands(broadcast) == [("SENT", None), ("DEFERRED", "LOCAL_TIME"), ("DEFERRED", "LOCAL_TIME")]
        assert (await chunk(broadcast)).due_at == datetime(2026, 7, 1, 7, tzinfo=UTC)
    with time_machine.travel(datetime(2026, 7, 1, 7, tzinfo=UTC), tick=False):
        await ripen(broadcast)
        assert await finish(broadcast) == [2]
    with time_machine.travel(datetime(2026, 7, 1, 9, tzinfo=UTC), tick=False):
        await ripen(broadcast)
        assert await finish(broadcast) == [3]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (QuietPolicy.DEFER, ("DEFERRED", "QUIET_HOURS")),
        (QuietPolicy.SKIP, ("SKIPPED", "QUIET_HOURS")),
        (QuietPolicy.IGNORE, ("SENT", None)),
    ],
)
async def test_quiet_hours_hold_in_the_zone_of_the_contact(
    team: Team, policy: QuietPolicy, expected: tuple[str, str | None]
) -> None:
    await of_app(team, quiet_start=time(22), quiet_end=time(8))
    await factories.contacts(team.app_id, 1)
    await set_contacts(team, time_zone="America/Los_Angeles")
    with time_machine.travel(NOON, tick=False):
        broadcast = await factories.expanded(team, quiet_policy=policy)
        await finish(broadcast)
        assert await stands(broadcast) == [expected]
        if policy is QuietPolicy.DEFER:
            assert (await rows(broadcast))[0].deferred_until == datetime(2026, 7, 1, 15, tzinfo=UTC)


# --- not at all


async def test_who_opted_out_after_the_recipients_were_written_is_skipped(team: Team) -> None:
    broadcast = await factories.sending(team, 2)
    contact_id = (await rows(broadcast))[0].contact_id
    fields = opt_outs.OptOutFields(
        contact_id=contact_id, channel=ChannelKind.IN_APP, reason=OptOutReason.MANUAL, note=None
    )
    async with transaction() as session:
        await opt_outs.opt_out(session, team.app_id, SYSTEM, fields)
    assert await finish(broadcast) == [2]
    assert await stands(broadcast) == [("SKIPPED", "OPTED_OUT"), ("SENT", None)]


async def test_who_was_erased_meanwhile_is_skipped(team: Team) -> None:
    broadcast = await factories.sending(team, 2)
    async with transaction() as session:
        await contacts.delete(session, principal(team), (await rows(broadcast))[0].contact_id)
    assert await finish(broadcast) == [2]
    assert await stands(broadcast) == [("SKIPPED", "CONTACT_GONE"), ("SENT", None)]


async def test_a_device_whose_token_died_is_out_of_reach(team: Team) -> None:
    broadcast = await push_to(team, 1)
    async with transaction() as session:
        await session.execute(sa.update(Device).where(Device.app_id == team.app_id).values(push_token=None))
    assert await finish(broadcast) == []
    assert await stands(broadcast) == [("SKIPPED", "UNREACHABLE")]
    assert await status(broadcast) is BroadcastStatus.FAILED


async def test_a_variable_without_a_value_skips_who_has_none(team: Team) -> None:
    await factories.contacts(team.app_id, 2)
    async with transaction() as session:
        first = sa.select(Contact.id).where(Contact.app_id == team.app_id).order_by(Contact.id).limit(1)
        await session.execute(sa.update(Contact).where(Contact.id == first.scalar_subquery()).values(plan="pro"))
    broadcast = await factories.expanded(team, body='You are {{ contact.plan }}, {{ contact.locale | default: "x" }}')
    lease = await leased(broadcast)
    batch = await intended(lease)
    assert batch
    assert [(send.seq, send.content.body) for send in batch.sends] == [(1, "You are pro, x")]
    assert (await stands(broadcast))[1] == ("SKIPPED", "MISSING_VARIABLE")


async def test_a_cap_is_over_all_broadcasts(team: Team) -> None:
    await of_app(team, frequency_cap_count=2, frequency_cap_hours=24)
    await factories.contacts(team.app_id, 2)
    for _ in range(2):
        assert await finish(await factories.expanded(team)) == [1, 2]
    third = await factories.expanded(team)
    assert await finish(third) == []
    assert await stands(third) == [("SKIPPED", "FREQUENCY_CAP")] * 2
    assert await finish(await factories.expanded(team, ignores_cap=True)) == [1, 2]


# --- by which way


async def test_mailboxes_are_recipients_where_no_device_is_reached(team: Team) -> None:
    await factories.contacts(team.app_id, 2)
    async with transaction() as session:
        session.add(Contact(app_id=team.app_id, name="Mail", emails=["mail@example.com"]))
        session.add(Contact(app_id=team.app_id, name="Nobody"))
    broadcast = await factories.expanded(team, channels=["IN_APP", "EMAIL"], title="Hi {{ contact.name }}")
    batch = await intended(await leased(broadcast))
    assert batch
    reached = [(send.channel.value, send.address, send.content.title) for send in batch.sends if send.device_id is None]
    assert reached == [("EMAIL", "mail@example.com", "Hi Mail")]
    assert len(batch.sends) == 3
    assert (await chunk(broadcast)).blind == [send.seq for send in batch.sends if send.device_id is None]
    (mail,) = [send for send in batch.sends if send.device_id is None]
    assert mail.content.unsubscribe_url
    assert "/unsubscribe?token=" in mail.content.unsubscribe_url


async def test_an_online_device_gets_it_in_app_and_an_offline_one_by_push(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    broadcast = await push_to(team, 2)
    async with transaction() as session:
        await session.execute(
            sa.update(Broadcast).where(Broadcast.id == broadcast.id).values(channels=["IN_APP", "PUSH"])
        )
    first = (await rows(broadcast))[0].device_id

    async def online(_ids: list[UUID]) -> set[UUID | None]:
        return {first}

    monkeypatch.setattr("core.presence.online", online)
    batch = await intended(await leased(broadcast))
    assert batch
    assert [(send.seq, send.channel.value) for send in batch.sends] == [(1, "IN_APP"), (2, "PUSH")]


async def test_a_small_micro_batch_leaves_the_rest_for_the_next(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MICRO_BATCH", 2)
    broadcast = await factories.sending(team, 3)
    lease = await leased(broadcast)
    assert await begin(lease) == [1, 2]
    async with transaction() as session:
        with pytest.raises(chunks.LeaseLostError):
            await chunks.record(session, chunks.Lease(broadcast, 1, 1, 3, lease.fence + 1), [Result(1)])
    await record(lease, Result(1), Result(2))
    assert await begin(lease) == [3]


@pytest.mark.parametrize("way", ["by hand", "by receipt"])
async def test_who_is_settled_counts_as_sent_of_their_variant(team: Team, way: str) -> None:
    variants = [{"name": name, "title": "Hello", "body": "World", "weight": 1} for name in "AB"]
    broadcast = await factories.sending(team, 4, variants=variants)
    lease = await leased(broadcast)
    seqs = await begin(lease)
    await record(lease, *(Result(seq, RecipientStatus.UNCERTAIN, "NO_ANSWER") for seq in seqs))
    assert await intended(lease) is None
    async with transaction() as session:
        if way == "by hand":
            await redoing.ask(session, principal(team), broadcast.id, Redo.UNCERTAIN_AS_SENT)
        else:
            await receipts.advance(session, {(broadcast.id, seq): {Step.DELIVERED} for seq in seqs}, now())
    if way == "by hand":
        await leased(broadcast)
    expected = Counter(row.variant for row in await rows(broadcast))
    async with transaction() as session:
        found = (await analytics.read(session, team.app_id, broadcast.id)).variants
    assert [one.sent for one in found] == [expected[0], expected[1]]
    assert expected.total() == 4


async def test_who_was_uncertain_and_reported_needs_no_word_any_more(team: Team) -> None:
    broadcast = await factories.sending(team, 1)
    lease = await leased(broadcast)
    await begin(lease)
    await record(lease, Result(1, RecipientStatus.UNCERTAIN, "NO_ANSWER"))
    assert await intended(lease) is None
    async with transaction() as session:
        await receipts.advance(session, {(broadcast.id, 1): {Step.DELIVERED}}, now())

    with pytest.raises(Conflict, match="No recipient is UNCERTAIN"):
        async with transaction() as session:
            await redoing.ask(session, principal(team), broadcast.id, Redo.UNCERTAIN)

    assert (await status(broadcast), (await chunk(broadcast)).redo) == (BroadcastStatus.SENT, None)


async def test_a_device_reports_by_the_key_of_its_push_and_no_other_does(team: Team) -> None:
    broadcast = await push_to(team, 2)
    lease = await leased(broadcast)
    await begin(lease)
    await record(lease, Result(1, RecipientStatus.UNCERTAIN, "NO_ANSWER"), Result(2))
    first, second = [row.device_id for row in await rows(broadcast)]
    assert first
    assert second
    key = chunks.send_key(broadcast.id, 1)
    opened = PushReport(first, key, ReceiptKind.OPENED)
    told = [PushReport(second, key, ReceiptKind.CLICKED), opened, PushReport(first, "other", ReceiptKind.OPENED)]

    async with transaction() as session:
        assert await reports.take(session, told, now()) == {opened}
    async with transaction() as session:
        assert await reports.take(session, told, now()) == set()

    assert await stands(broadcast) == [("OPENED", None), ("SENT", None)]
    found = await stats(broadcast)
    assert (found.total_sent, found.total_uncertain, found.total_opened, found.total_clicked) == (2, 0, 1, 0)


# --- again and again, and to those who came later


async def test_a_repeating_broadcast_sends_a_copy_at_each_time_and_makes_up_none(team: Team) -> None:
    await factories.contacts(team.app_id, 1)
    weekly = await factories.broadcast(team)
    with time_machine.travel(datetime(2030, 7, 1, 12, tzinfo=UTC), tick=False):
        async with transaction() as session:
            when = starting.Schedule(scheduled_at=None, local_at=None, cron="0 9 * * 1", time_zone="Europe/Berlin")
            await starting.schedule(session, principal(team), weekly.id, when)
    three_weeks_later = datetime(2030, 7, 22, 12, tzinfo=UTC)
    with time_machine.travel(three_weeks_later, tick=False):
        assert sum(await asyncio.gather(*(start_due() for _ in range(3)))) >= 1
        async with transaction() as session:
            copies = (await session.scalars(sa.select(Broadcast).filter_by(repeats_id=weekly.id))).all()
            kept = await session.get_one(Broadcast, weekly.id)
        assert [(copy.status, copy.sent_at, copy.cron) for copy in copies] == [
            (BroadcastStatus.SENDING, three_weeks_later, None)
        ]
        assert (kept.status, kept.scheduled_at) == (
            BroadcastStatus.SCHEDULED,
            datetime(2030, 7, 29, 7, tzinfo=UTC),
        )


async def start_due() -> int:
    async with transaction() as session:
        return await starting.start_due(session)


async def test_a_sent_broadcast_goes_to_those_who_came_later_and_to_nobody_twice(team: Team) -> None:
    broadcast = await factories.sending(team, 2)
    assert await finish(broadcast) == [1, 2]
    async with transaction() as session:
        session.add(late := Contact(app_id=team.app_id, name="Late"))
        await session.flush()
        session.add(Device(app_id=team.app_id, contact_id=late.id, platform=Platform.IOS))
    async with transaction() as session:
        await starting.extend(session, principal(team), broadcast.id)
    more = True
    while more:
        async with transaction() as session:
            more = await expansion.expand_slice(session, broadcast.id)
    lease = await leased(broadcast, 2)
    assert await begin(lease) == [3]
    await record(lease, Result(3))
    assert await begin(lease) == []
    assert await status(broadcast) is BroadcastStatus.SENT
    assert [row.seq for row in await rows(broadcast)] == [1, 2, 3]


# --- variants


async def test_the_rest_gets_the_variant_that_more_people_opened(team: Team) -> None:
    texts = [{"name": name, "title": name, "body": "x", "weight": 1} for name in ("first", "second")]
    await factories.contacts(team.app_id, 60)
    broadcast = await factories.expanded(team, variants=texts, test_share=50, winner_after_minutes=30)
    tested = await finish(broadcast)
    by_variant = {row.seq: row.variant for row in await rows(broadcast)}
    assert {seq for seq, variant in by_variant.items() if variant is not None} == set(tested)
    assert 0 < len(tested) < 60
    opened = {(broadcast.id, seq): {Step.OPENED} for seq, variant in by_variant.items() if variant == 1}
    delivered = {(broadcast.id, seq): {Step.DELIVERED} for seq, variant in by_variant.items() if variant == 0}
    assert opened
    async with transaction() as session:
        await receipts.advance(session, opened | delivered, now())
    with time_machine.travel(now() + timedelta(minutes=31)):
        async with transaction() as session:
            await variants.decide_due(session)
        await ripen(broadcast)
        rest = await finish(broadcast)
    assert sorted([*tested, *rest]) == list(range(1, 61))
    async with transaction() as session:
        assert (await session.get_one(Broadcast, broadcast.id)).winner == 1


@pytest.mark.parametrize(
    ("channels", "count", "seconds", "size"),
    [
        (["PUSH"], 100, 0.1, 100),
        (["PUSH"], 100, 0.01, 500),
        (["PUSH"], 100, 0.0, 1_000),
        (["PUSH"], 0, 0.01, 100),
        (["IN_APP"], 1_000, 9.0, 1_000),
    ],
)
async def test_what_cannot_be_asked_for_is_sent_in_batches_of_a_twentieth_second(
    team: Team, channels: list[str], count: int, seconds: float, size: int
) -> None:
    broadcast = await factories.sending(team, 1, channels=channels)
    async with transaction() as session:
        pace = batches.pace(await deciding.prepare(session, broadcast))

    pace.went(count, seconds)

    assert pace.size == size
