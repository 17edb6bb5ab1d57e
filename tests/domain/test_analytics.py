"""The numbers of a broadcast: each exact, also when many things happen at once, and equal to a recount of the rows."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine

from core.clock import now
from core.database import transaction
from core.errors import Invalid, NotFound
from domain.broadcasts import analytics, batches, chunks, expansion, receipts, recounting, redoing
from domain.broadcasts.analytics import Analytics, CodeCount, HourShare, Share, VariantShare
from domain.broadcasts.receipts import Step
from domain.broadcasts.recounting import Difference
from domain.broadcasts.results import Result
from models.broadcasts import (
    Broadcast,
    BroadcastChunk,
    BroadcastRecipient,
    BroadcastRollup,
    BroadcastStatus,
    BroadcastTally,
    Dimension,
    RecipientStatus,
    Redo,
)
from models.channels import ChannelKind
from models.contacts import Contact
from models.devices import Device, Platform
from tests.support import factories
from tests.support.commands import replyhq
from tests.support.factories import Team, principal
from tests.support.sending import begin, failed, leased, record

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
VARIANTS = [{"name": name, "title": name, "body": name, "weight": 1} for name in "AB"]


async def numbers(team: Team, broadcast: Broadcast, zone: str = "UTC") -> Analytics:
    async with transaction() as session:
        return await analytics.read(session, team.app_id, broadcast.id, zone)


async def advance(broadcast: Broadcast, *steps: tuple[int, Step], at: datetime | None = None) -> None:
    """Each on its own, as reports come."""
    for seq, step in steps:
        async with transaction() as session:
            await receipts.advance(session, {(broadcast.id, seq): {step}}, at or now())


async def differences(broadcast: Broadcast, *, mend: bool = False) -> list[Difference]:
    async with transaction() as session:
        return await recounting.recount(session, broadcast.id, mend=mend)


async def redo(team: Team, broadcast: Broadcast, what: Redo) -> None:
    async with transaction() as session:
        await redoing.ask(session, principal(team), broadcast.id, what)


async def send(broadcast: Broadcast, *results: Result, no: int = 1) -> None:
    """A chunk as a worker sends it: those without a result given are sent."""
    given, lease = {one.seq: one for one in results}, await leased(broadcast, no)
    while seqs := await begin(lease):
        await record(lease, *(given.get(seq, Result(seq)) for seq in seqs))


def uncertain(seq: int) -> Result:
    return Result(seq, RecipientStatus.UNCERTAIN, "NO_ANSWER")


def skipped(seq: int, code: str) -> Result:
    return Result(seq, RecipientStatus.SKIPPED, code)


async def set_rows(broadcast: Broadcast, seq: int, **values: Any) -> None:
    async with transaction() as session:
        this = (BroadcastRecipient.broadcast_id == broadcast.id, BroadcastRecipient.seq == seq)
        await session.execute(sa.update(BroadcastRecipient).where(*this).values(**values))


async def test_before_anything_is_sent_all_is_nothing(team: Team) -> None:
    seen = await numbers(team, await factories.broadcast(team))
    assert (seen.stats.total_recipients, seen.stats.open_rate, seen.stats.click_rate) == (0, None, None)
    assert seen.open_rate_by_hour == [HourShare(hour, 0, None) for hour in range(24)]
    assert [seen.device_breakdown, seen.country_breakdown, seen.skipped_by_reason, seen.failed_by_code] == [[]] * 4
    assert seen.variants == []


async def test_what_was_sent_and_not_delivered_has_no_rates(team: Team) -> None:
    broadcast = await factories.sending(team, 2)
    await send(broadcast)
    seen = await numbers(team, broadcast)
    assert (seen.stats.total_sent, seen.stats.total_delivered) == (2, 0)
    assert (seen.stats.open_rate, seen.stats.click_rate) == (None, None)
    assert {hour.rate for hour in seen.open_rate_by_hour} == {None}


async def test_counters_and_rates(team: Team) -> None:
    broadcast = await factories.sending(team, 10)
    await send(broadcast, failed(7), failed(8, "UNREGISTERED"), skipped(9, "QUIET_HOURS"), uncertain(10))
    await advance(broadcast, (1, Step.DELIVERED), (2, Step.OPENED), (3, Step.OPENED), (4, Step.CLICKED))
    await advance(broadcast, (4, Step.CLICKED), (5, Step.MACHINE_OPENED), (5, Step.DELIVERED))
    stats = (await numbers(team, broadcast)).stats
    assert (stats.total_recipients, stats.total_sent, stats.total_failed) == (10, 6, 2)
    assert (stats.total_skipped, stats.total_uncertain, stats.total_machine_opened) == (1, 1, 1)
    assert (stats.total_delivered, stats.total_opened, stats.total_clicked) == (5, 3, 1)
    assert (stats.open_rate, stats.click_rate) == (3 / 5, 1 / 5)
    assert await differences(broadcast) == []


async def test_openings_by_the_hour_of_any_zone(team: Team) -> None:
    broadcast = await factories.sending(team, 4)
    await send(broadcast)
    for seq, at in enumerate(("18:29:59", "18:30", "18:45", "23:59"), start=1):
        await advance(broadcast, (seq, Step.OPENED), at=datetime.fromisoformat(f"2026-07-01T{at}+00:00"))
    await advance(broadcast, (1, Step.OPENED), at=NOON)
    for zone, expected in (
        ("UTC", {18: 3, 23: 1}),
        ("Asia/Kolkata", {23: 1, 0: 2, 5: 1}),
        ("Asia/Kathmandu", {0: 3, 5: 1}),
        ("America/Los_Angeles", {11: 3, 16: 1}),
    ):
        seen = await numbers(team, broadcast, zone)
        assert {one.hour: one.opened for one in seen.open_rate_by_hour if one.opened} == expected
        assert [one.hour for one in seen.open_rate_by_hour] == list(range(24))
        assert sum(one.rate or 0 for one in seen.open_rate_by_hour) == 1
        assert seen.time_zone == zone
    assert await differences(broadcast) == []


async def test_a_clock_that_is_turned_back_counts_both_hours_as_one(team: Team) -> None:
    broadcast = await factories.sending(team, 2)
    await send(broadcast)
    for seq, hour in ((1, 0), (2, 1)):
        await advance(broadcast, (seq, Step.OPENED), at=datetime(2026, 10, 25, hour, 15, tzinfo=UTC))
    seen = await numbers(team, broadcast, "Europe/Berlin")
    assert {one.hour: one.opened for one in seen.open_rate_by_hour if one.opened} == {2: 2}


async def test_by_platform_and_country_and_what_is_unknown(team: Team) -> None:
    await factories.contacts(team.app_id, 2, Platform.IOS)
    async with transaction() as session:
        await session.execute(sa.update(Contact).where(Contact.app_id == team.app_id).values(external_id=None))
    await factories.contacts(team.app_id, 1, Platform.ANDROID)
    async with transaction() as session:
        session.add(Contact(app_id=team.app_id, emails=["one@example.com"]))
        session.add(Contact(app_id=team.app_id, emails=["two@example.com"], country="FR"))
        android = sa.update(Device).where(Device.app_id == team.app_id, Device.platform == Platform.ANDROID)
        await session.execute(android.values(country=None))
    broadcast = await factories.expanded(team, channels=["IN_APP", "EMAIL"])
    async with transaction() as session:
        own = sa.select(BroadcastRecipient).filter_by(broadcast_id=broadcast.id)
        who = {(row.platform, row.country): row.seq for row in await session.scalars(own)}
    await send(broadcast)
    await advance(broadcast, (who[Platform.IOS, "DE"], Step.CLICKED), (who[Platform.ANDROID, None], Step.DELIVERED))
    await advance(broadcast, (who[None, "FR"], Step.OPENED))
    seen = await numbers(team, broadcast)
    assert seen.device_breakdown == [
        Share("", 2, 1, 1, 0),
        Share("IOS", 2, 1, 1, 1),
        Share("ANDROID", 1, 1, 0, 0),
    ]
    assert seen.country_breakdown == [Share("", 2, 1, 0, 0), Share("DE", 2, 1, 1, 1), Share("FR", 1, 1, 1, 0)]
    assert await differences(broadcast) == []


async def test_skips_by_reason_and_failures_by_code(team: Team) -> None:
    broadcast = await factories.sending(team, 6)
    given = [failed(1, "UNREGISTERED"), failed(2, "TOO_LARGE"), failed(3, "UNREGISTERED")]
    await send(broadcast, *given, skipped(4, "OPTED_OUT"), skipped(5, "QUIET_HOURS"))
    seen = await numbers(team, broadcast)
    assert seen.failed_by_code == [CodeCount("UNREGISTERED", 2), CodeCount("TOO_LARGE", 1)]
    assert set(seen.skipped_by_reason) == {CodeCount("OPTED_OUT", 1), CodeCount("QUIET_HOURS", 1)}
    await redo(team, broadcast, Redo.FAILED)
    await send(broadcast, failed(2, "UNREGISTERED"))
    seen = await numbers(team, broadcast)
    assert seen.failed_by_code == [CodeCount("UNREGISTERED", 1)]
    assert (seen.stats.total_sent, seen.stats.total_failed, seen.stats.total_skipped) == (3, 1, 2)
    assert await differences(broadcast) == []


# --- variants


async def variants_of(broadcast: Broadcast) -> list[int | None]:
    async with transaction() as session:
        own = sa.select(BroadcastRecipient.variant).where(BroadcastRecipient.broadcast_id == broadcast.id)
        return list(await session.scalars(own.order_by(BroadcastRecipient.seq)))


async def test_by_variant(team: Team) -> None:
    broadcast = await factories.sending(team, 40, variants=VARIANTS)
    of = await variants_of(broadcast)
    first = [seq for seq, variant in enumerate(of, start=1) if variant == 0]
    second = [seq for seq, variant in enumerate(of, start=1) if variant == 1]
    assert len(first) > 1
    assert len(second) > 1
    await send(broadcast, failed(first[0]))
    await advance(broadcast, (first[1], Step.CLICKED), (second[0], Step.DELIVERED), (second[1], Step.OPENED))
    seen = await numbers(team, broadcast)
    assert seen.variants == [
        VariantShare("A", False, len(first) - 1, 1, 1, 1),
        VariantShare("B", False, len(second), 2, 1, 0),
    ]
    assert [(one.open_rate, one.click_rate) for one in seen.variants] == [(1, 1), (0.5, 0)]
    assert await differences(broadcast) == []


async def test_who_waited_for_the_winner_counts_to_it_also_when_the_report_came_first(team: Team) -> None:
    broadcast = await factories.sending(team, 3, variants=VARIANTS, test_share=1)
    for seq in (1, 2, 3):
        await set_rows(broadcast, seq, variant=None)
    async with transaction() as session:
        await session.execute(sa.update(Broadcast).where(Broadcast.id == broadcast.id).values(winner=1))
    lease = await leased(broadcast)
    await begin(lease)
    await advance(broadcast, (1, Step.OPENED), (2, Step.CLICKED))
    await record(lease, *(Result(seq, variant=1) for seq in (1, 2, 3)))
    await advance(broadcast, (3, Step.DELIVERED))
    seen = await numbers(team, broadcast)
    assert seen.variants == [VariantShare("A", False, 0, 0, 0, 0), VariantShare("B", True, 3, 3, 2, 1)]
    assert (seen.variants[0].open_rate, sum(one.opened for one in seen.open_rate_by_hour)) == (None, 2)
    assert await differences(broadcast) == []


@pytest.mark.parametrize("by_hand", [True, False], ids=["by hand", "by a report"])
async def test_what_was_uncertain_and_is_settled_counts_as_sent_of_its_variant(team: Team, by_hand: bool) -> None:
    broadcast = await factories.sending(team, 2, variants=VARIANTS)
    await send(broadcast, uncertain(1), uncertain(2))
    if by_hand:
        await redo(team, broadcast, Redo.UNCERTAIN_AS_SENT)
        await send(broadcast)
    else:
        await advance(broadcast, (1, Step.DELIVERED), (2, Step.OPENED))
    seen = await numbers(team, broadcast)
    assert (sum(one.sent for one in seen.variants), seen.stats.total_sent, seen.stats.total_uncertain) == (2, 2, 0)
    assert await differences(broadcast) == []


async def test_one_that_failed_and_was_reported_on_got_it_and_is_not_sent_again(team: Team) -> None:
    broadcast = await factories.sending(team, 3, variants=VARIANTS)
    await send(broadcast, failed(1), failed(2))
    await advance(broadcast, (1, Step.OPENED))
    assert await differences(broadcast) == []
    await redo(team, broadcast, Redo.FAILED)
    lease = await leased(broadcast)
    assert await begin(lease) == [2]
    await record(lease, Result(2))
    assert await begin(lease) == []
    seen = await numbers(team, broadcast)
    assert (seen.stats.total_sent, seen.stats.total_failed, seen.failed_by_code) == (3, 0, [])
    assert sum(one.sent for one in seen.variants) == 3
    async with transaction() as session:
        row = await session.get_one(BroadcastRecipient, (broadcast.id, 1))
        assert (row.status, row.error_code, row.sent_at is not None) == (RecipientStatus.OPENED, None, True)
    assert await differences(broadcast) == []


# --- many at once


async def worker(broadcast: Broadcast, no: int) -> None:
    """Sends a chunk with all kinds of results."""
    kinds = (Result, Result, failed, uncertain, lambda seq: skipped(seq, "OPTED_OUT"))
    lease = await leased(broadcast, no)
    while seqs := await begin(lease):
        await record(lease, *(kinds[seq % len(kinds)](seq) for seq in seqs))
        await asyncio.sleep(0)


async def reporter(broadcast: Broadcast, seqs: list[int], step: Step, at: datetime) -> None:
    """Reports a few at a time, as the batcher does."""
    for start in range(0, len(seqs), 7):
        places = {(broadcast.id, seq): {step} for seq in seqs[start : start + 7]}
        async with transaction() as session:
            await receipts.advance(session, places, at)


async def mixed(team: Team, monkeypatch: pytest.MonkeyPatch) -> Broadcast:
    """A broadcast that was sent and reported on by many at once, then tried again in part, meanwhile reported on."""
    monkeypatch.setattr(batches, "MICRO_BATCH", 5)
    config = expansion.config().model_copy(update={"chunk_size": 20})
    monkeypatch.setattr(expansion, "config", lambda: config)
    broadcast = await factories.sending(team, 60, variants=VARIANTS)
    forth, back = list(range(1, 61)), list(range(60, 0, -2))
    everybody = [
        *(worker(broadcast, no) for no in (1, 2, 3)),
        reporter(broadcast, forth[::3], Step.DELIVERED, NOON),
        reporter(broadcast, back, Step.OPENED, NOON),
        reporter(broadcast, back[::3], Step.CLICKED, NOON + timedelta(minutes=20)),
        reporter(broadcast, back, Step.DELIVERED, NOON),
        reporter(broadcast, forth, Step.MACHINE_OPENED, NOON),
    ]
    await asyncio.gather(*everybody)
    await redo(team, broadcast, Redo.FAILED)
    again = [worker(broadcast, no) for no in (1, 2, 3)]
    await asyncio.gather(*again, reporter(broadcast, forth[::5], Step.DELIVERED, NOON))
    return broadcast


async def test_sums_equal_a_recount_after_a_mixed_run(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    broadcast = await mixed(team, monkeypatch)
    seen = await numbers(team, broadcast)
    async with transaction() as session:
        own = sa.select(BroadcastRecipient).filter_by(broadcast_id=broadcast.id)
        rows = (await session.scalars(own)).all()
    stats = seen.stats
    assert (stats.total_recipients, stats.total_machine_opened) == (60, 60)
    assert stats.total_sent == sum(row.sent_at is not None for row in rows)
    assert stats.total_delivered == sum(row.delivered_at is not None for row in rows)
    assert stats.total_opened == sum(row.opened_at is not None for row in rows) == 30
    assert stats.total_clicked == sum(row.clicked_at is not None for row in rows) == 10
    by_status = Counter(row.status for row in rows)
    found = (stats.total_failed, stats.total_skipped, stats.total_uncertain)
    assert found == tuple(by_status[RecipientStatus(one)] for one in ("FAILED", "SKIPPED", "UNCERTAIN"))
    assert sum(found) + stats.total_sent == 60
    assert {one.code: one.count for one in seen.failed_by_code} == Counter(
        row.error_code for row in rows if row.status is RecipientStatus.FAILED
    )
    assert sum(one.opened for one in seen.open_rate_by_hour) == 30
    assert seen.device_breakdown == [Share("IOS", 60, stats.total_delivered, 30, 10)]
    for no, variant in enumerate(seen.variants):
        of = [row for row in rows if row.variant == no]
        assert variant.sent == sum(row.sent_at is not None for row in of)
        assert variant.opened == sum(row.opened_at is not None for row in of)
    assert await differences(broadcast) == []


# --- counted anew


async def corrupt(broadcast: Broadcast) -> None:
    """As only a bug, or a hand in the database, could."""
    of_chunk, of_it = BroadcastChunk.broadcast_id == broadcast.id, BroadcastRollup.broadcast_id == broadcast.id
    async with transaction() as session:
        first = sa.update(BroadcastChunk).where(of_chunk, BroadcastChunk.no == 1)
        await session.execute(first.values(failed=BroadcastChunk.failed + 3))
        tally = sa.update(BroadcastTally).where(BroadcastTally.broadcast_id == broadcast.id, BroadcastTally.shard == 2)
        await session.execute(tally.values(opened=BroadcastTally.opened + 1))
        await session.execute(sa.delete(BroadcastRollup).where(of_it, BroadcastRollup.dimension == Dimension.COUNTRY))


async def test_what_differs_is_named_and_mended(team: Team) -> None:
    broadcast = await factories.sending(team, 4)
    await send(broadcast, uncertain(1), failed(2))
    await advance(broadcast, (1, Step.DELIVERED), (3, Step.OPENED))
    before = await numbers(team, broadcast)
    await corrupt(broadcast)
    expected = [
        Difference("chunk 1 failed", 4, 1),
        Difference("opened", 2, 1),
        Difference("rollup RECIPIENTS COUNTRY DE", 0, 4),
        Difference("rollup DELIVERED COUNTRY DE", 0, 2),
        Difference("rollup OPENED COUNTRY DE", 0, 1),
    ]
    by_name = sorted(expected, key=lambda one: one.name)
    assert sorted(await differences(broadcast), key=lambda one: one.name) == by_name
    assert sorted(await differences(broadcast, mend=True), key=lambda one: one.name) == by_name
    assert await differences(broadcast) == []
    assert await numbers(team, broadcast) == before


async def test_mending_beside_reports_loses_none(team: Team) -> None:
    broadcast = await factories.sending(team, 40)
    await send(broadcast)
    await corrupt(broadcast)
    mending = [differences(broadcast, mend=True) for _ in range(3)]
    await asyncio.gather(reporter(broadcast, list(range(1, 41)), Step.OPENED, NOON), *mending)
    assert await differences(broadcast) == []
    assert (await numbers(team, broadcast)).stats.total_opened == 40


async def test_what_is_being_written_is_not_counted(team: Team) -> None:
    assert await differences(await factories.broadcast(team)) == []


async def test_the_command_tells_what_differs_and_mends_it(team: Team) -> None:
    good, bad = await factories.sending(team, 2), await factories.expanded(team)
    async with transaction() as session:
        await session.execute(sa.update(BroadcastChunk).where(BroadcastChunk.broadcast_id == bad.id).values(skipped=5))
    ended = await replyhq("recount", "--quiet", str(good.id))
    assert (ended.code, ended.out, ended.err) == (0, "1 broadcasts counted, 0 differ\n", "")
    told = f"{bad.id}:\n  chunk 1 skipped: 5, should be 0\n"
    ended = await replyhq("recount", "--quiet", str(good.id), str(bad.id))
    assert (ended.code, ended.out) == (1, f"{told}2 broadcasts counted, 1 differ\n")
    ended = await replyhq("recount", "--quiet", "--mend", str(bad.id))
    assert (ended.code, ended.out) == (1, f"{told}1 broadcasts counted, 1 mended\n")
    ended = await replyhq("recount", "--quiet", str(bad.id))
    assert (ended.code, ended.out) == (0, "1 broadcasts counted, 0 differ\n")
    ended = await replyhq("recount", "--quiet", str(team.app_id))
    assert (ended.code, ended.err) == (1, f"Error: There is no broadcast {team.app_id}.\n")
    ended = await replyhq("recount")
    assert ended.out.endswith(" differ\n")


# --- whose, and which zone


async def test_numbers_are_of_the_own_app_and_of_a_zone_there_is(team: Team) -> None:
    broadcast = await factories.broadcast(await factories.team())
    with pytest.raises(NotFound):
        await numbers(team, broadcast)
    with pytest.raises(Invalid):
        await numbers(team, await factories.broadcast(team), "Mars/Olympus")


async def test_a_cancelled_one_keeps_its_numbers(team: Team) -> None:
    broadcast = await factories.sending(team, 3)
    lease = await leased(broadcast)
    await begin(lease)
    await record(lease, Result(1))
    async with transaction() as session:
        of_it = sa.update(Broadcast).where(Broadcast.id == broadcast.id)
        await session.execute(of_it.values(status=BroadcastStatus.CANCELLED))
    with time_machine.travel(now() + timedelta(hours=1)):
        await advance(broadcast, (2, Step.CLICKED))
    stats = (await numbers(team, broadcast)).stats
    assert (stats.total_sent, stats.total_delivered, stats.click_rate) == (1, 1, 1)
    assert await differences(broadcast) == []


async def test_who_was_on_the_way_when_a_worker_died_is_uncertain_by_that_way_with_the_variant_that_had_won(
    team: Team,
) -> None:
    broadcast = await factories.sending(team, 2, channels=["IN_APP", "PUSH"], variants=VARIANTS, winner=1)
    await set_rows(broadcast, 1, variant=None)
    await set_rows(broadcast, 2, variant=0)
    lease = await leased(broadcast)
    async with transaction() as session:
        held = (await chunks.owned(session, lease)).chunk
        chunks.intend(held, [1, 2], [1, 2])
        held.lease_until = now() - timedelta(minutes=1)

    await leased(broadcast)

    async with transaction() as session:
        found = await session.scalars(
            sa.select(BroadcastRecipient).filter_by(broadcast_id=broadcast.id).order_by(BroadcastRecipient.seq)
        )
    assert [(row.status.value, row.channel, row.variant) for row in found] == [
        ("UNCERTAIN", ChannelKind.PUSH, 1),
        ("UNCERTAIN", ChannelKind.PUSH, 0),
    ]
