"""The recipients of a broadcast that are wanted, found without reading the others."""

from datetime import timedelta
from typing import Any

import pytest

from core.clock import now
from core.database import transaction
from core.errors import Invalid
from domain.broadcasts import expansion, recipients
from domain.broadcasts.recipients import Filter
from domain.broadcasts.results import Result
from domain.pages import Page, PageRequest
from models.broadcasts import Broadcast, BroadcastRecipient, RecipientStatus
from tests.support import factories
from tests.support.factories import Team
from tests.support.sending import begin, failed, leased, record
from tests.support.statements import recorded

FEW = (RecipientStatus.FAILED, RecipientStatus.SKIPPED, RecipientStatus.UNCERTAIN, RecipientStatus.DEFERRED)


@pytest.fixture(autouse=True)
def chunks_of_five(monkeypatch: pytest.MonkeyPatch) -> None:
    config = expansion.config().model_copy(update={"chunk_size": 5})
    monkeypatch.setattr(expansion, "config", lambda: config)


async def listed(broadcast: Broadcast, wanted: Filter, **request: Any) -> Page[BroadcastRecipient]:
    async with transaction() as session:
        return await recipients.listed(session, broadcast, PageRequest(**request), wanted)


async def seqs(broadcast: Broadcast, wanted: Filter, **request: Any) -> list[int]:
    return [row.seq for row in (await listed(broadcast, wanted, **request)).rows]


def result(seq: int) -> Result:
    """Two of ten are sent, two failed, two skipped, two uncertain, two deferred; those of chunks 2, 5, … all sent."""
    if seq % 15 in {6, 7, 8, 9, 10}:
        return Result(seq)
    status = (RecipientStatus.SENT, *FEW)[seq % 5]
    until = now() + timedelta(hours=1) if status is RecipientStatus.DEFERRED else None
    return Result(seq, status, None if status is RecipientStatus.SENT else f"CODE_{seq % 2}", until)


async def sent(team: Team, people: int = 30) -> Broadcast:
    """All chunks but the last one; the one before is in the middle of it."""
    broadcast = await factories.sending(team, people)
    for no in range(1, people // 5):
        lease = await leased(broadcast, no)
        await record(lease, *map(result, await begin(lease)))
        if no < people // 5 - 1:
            assert await begin(lease) == []
    return broadcast


@pytest.mark.parametrize("status", [None, *FEW, RecipientStatus.SENT, RecipientStatus.PENDING])
async def test_all_are_found_in_their_order(team: Team, status: RecipientStatus | None) -> None:
    broadcast = await sent(team)
    everybody = (await listed(broadcast, Filter())).rows
    expected = [row.seq for row in everybody if status in {None, row.status}]
    assert len(everybody) == 30
    assert expected
    assert await seqs(broadcast, Filter(status)) == expected


@pytest.mark.parametrize("status", FEW)
async def test_pages_of_few_go_on_both_ways(team: Team, status: RecipientStatus) -> None:
    broadcast = await sent(team, 60)
    expected = await seqs(broadcast, Filter(status))
    assert len(expected) > 4
    page = await listed(broadcast, Filter(status), first=2)
    found = [row.seq for row in page.rows]
    while page.has_next:
        page = await listed(broadcast, Filter(status), first=2, after=page.cursor_of(page.rows[-1]))
        found += [row.seq for row in page.rows]
    assert found == expected
    assert await page.count() == len(expected)
    last = await listed(broadcast, Filter(status), last=2)
    assert [row.seq for row in last.rows] == expected[-2:]
    before = await listed(broadcast, Filter(status), last=2, before=last.cursor_of(last.rows[0]))
    assert [row.seq for row in before.rows] == expected[-4:-2]


async def test_filters_hold_together(team: Team) -> None:
    broadcast = await sent(team)
    rows = (await listed(broadcast, Filter())).rows
    for wanted in (
        Filter(RecipientStatus.FAILED, code="CODE_1"),
        Filter(code="CODE_0"),
        Filter(RecipientStatus.SKIPPED, country="de", platform=rows[0].platform),
    ):
        given = {"status": wanted.status, "error_code": wanted.code, "country": wanted.country and "DE"}
        expected = [
            row.seq
            for row in rows
            if all(getattr(row, name) == value for name, value in given.items() if value is not None)
        ]
        assert expected
        assert await seqs(broadcast, wanted) == expected
    assert await seqs(broadcast, Filter(country="FR")) == []
    assert await seqs(broadcast, Filter(variant=0)) == []


@pytest.mark.parametrize(
    ("wanted", "field"),
    [(Filter(country="Germany"), "country"), (Filter(code="x" * 101), "code"), (Filter(variant=8), "variant")],
)
async def test_what_cannot_be_is_refused(team: Team, wanted: Filter, field: str) -> None:
    broadcast = await factories.broadcast(team)
    with pytest.raises(Invalid) as refused:
        await seqs(broadcast, wanted)
    assert refused.value.field == field


async def test_it_is_one_statement_however_many_chunks_have_some(team: Team) -> None:
    broadcast = await sent(team, 60)
    with recorded() as seen:
        assert len(await seqs(broadcast, Filter(RecipientStatus.FAILED))) > 4
    assert len(seen) == 1


async def test_who_failed_after_all_is_found_after_a_redo(team: Team) -> None:
    broadcast = await factories.sending(team, 10)
    lease = await leased(broadcast, 2)
    await begin(lease)
    await record(lease, failed(7))
    assert await seqs(broadcast, Filter(RecipientStatus.FAILED)) == [7]


async def test_who_is_being_handed_over_is_shown_as_sending_until_the_result(team: Team) -> None:
    broadcast = await factories.sending(team, 10)
    lease = await leased(broadcast, 2)
    assert await begin(lease) == [6, 7, 8, 9, 10]
    sending = Filter(RecipientStatus.SENDING)

    assert await seqs(broadcast, sending) == [6, 7, 8, 9, 10]
    async with transaction() as session:
        ranges = (await recipients.on_their_way(session, [broadcast.id]))[broadcast.id]
    shown = [recipients.standing(row, ranges) for row in (await listed(broadcast, Filter())).rows]
    assert shown == [RecipientStatus.PENDING] * 5 + [RecipientStatus.SENDING] * 5

    await record(lease, *map(result, range(6, 11)))
    assert await seqs(broadcast, sending) == []
