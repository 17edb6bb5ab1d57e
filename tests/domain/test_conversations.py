"""One conversation at a time for a contact and channel, through all its statuses; who has read what. F1, F3, F11."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import now
from core.database import transaction
from core.errors import Conflict, Invalid, NotFound
from domain import labels
from domain.conversations import control, counting, listing, opening, reads
from domain.conversations.counting import Counts
from domain.conversations.listing import Filter
from domain.pages import PageRequest
from models.channels import ChannelKind
from models.conversations import Conversation, ConversationStatus, Priority
from tests.support import factories, inbox
from tests.support.audited import actions
from tests.support.inbox import Line

OPEN, PENDING, SNOOZED, RESOLVED, SPAM = ConversationStatus
ALL = PageRequest(first=100)


@pytest.fixture
async def line(database: None) -> Line:
    return await inbox.line()


async def do(verb: Any, line: Line, conversation: Conversation, *more: Any) -> Conversation:
    async with transaction() as session:
        return await verb(session, line.agent, conversation.id, *more)


async def opened(line: Line) -> Conversation:
    return await inbox.conversation(line.team, (await line.says()).conversation_id)


async def test_two_first_messages_at_once_open_one_conversation(line: Line) -> None:
    said = await asyncio.gather(*(line.says(f"Hello {no}") for no in range(8)))
    (row,) = await inbox.conversations(line.team)
    assert {one.conversation_id for one in said} == {row.id}
    assert len({one.created_at for one in said}) == row.message_count == 8
    assert row.last_message_id == max(said, key=lambda one: one.created_at).id


async def test_team_and_contact_who_begin_at_once_meet_in_one_conversation(line: Line) -> None:
    async def begin() -> None:
        async with transaction() as session:
            await opening.open_or_find(session, line.agent, line.contact_id, ChannelKind.IN_APP)

    await asyncio.gather(*(work() for work in (begin, line.says) * 4))
    assert [row.status for row in await inbox.conversations(line.team)] == [OPEN]


async def test_the_database_holds_one_open_conversation(line: Line) -> None:
    await opened(line)
    twin = Conversation(app_id=line.team.app_id, contact_id=line.contact_id, channel=ChannelKind.IN_APP)
    with pytest.raises(sa.exc.IntegrityError, match="uq_conversations_open"):
        async with transaction() as session:
            session.add(twin)


async def test_no_conversation_is_begun_by_push(line: Line) -> None:
    with pytest.raises(Invalid, match="IN_APP only"):
        async with transaction() as session:
            await opening.open_or_find(session, line.agent, line.contact_id, ChannelKind.PUSH)


async def test_a_contact_who_writes_reopens_what_was_resolved_within_a_week(line: Line) -> None:
    row = await opened(line)
    async with transaction() as session:
        await session.execute(
            sa.update(Conversation).values(assignee_id=line.team.user_id).where(Conversation.id == row.id)
        )
    done = await do(control.resolve, line, row)
    assert (done.status, done.resolved_at is None, done.waiting_since) == (RESOLVED, False, None)
    with time_machine.travel(now() + timedelta(days=6, hours=23), tick=True):
        again = await inbox.conversation(line.team, (await line.says("Still broken")).conversation_id)
    assert (again.id, again.status, again.resolved_at) == (row.id, OPEN, None)
    assert again.assignee_id == line.team.user_id
    assert again.waiting_since == again.last_message_at


async def test_after_a_week_a_new_one_goes_on_with_the_old(line: Line) -> None:
    row = await do(control.resolve, line, await opened(line))
    with time_machine.travel(now() + timedelta(days=7, minutes=1), tick=True):
        new = await inbox.conversation(line.team, (await line.says("Me again")).conversation_id)
    assert (new.previous_id, new.status, new.message_count) == (row.id, OPEN, 1)
    assert (await inbox.conversation(line.team, row.id)).status is RESOLVED


async def test_what_is_spam_takes_all_and_stays_spam(line: Line) -> None:
    row = await do(control.mark_spam, line, await opened(line))
    assert (await line.says("Buy now")).conversation_id == row.id
    assert (await inbox.conversation(line.team, row.id)).status is SPAM


async def test_an_answer_reopens_nothing(line: Line) -> None:
    row = await do(control.resolve, line, await opened(line))
    await line.answers(row.id, "P.S.")
    assert (await inbox.conversation(line.team, row.id)).status is RESOLVED


async def test_one_that_is_snoozed_comes_back_when_the_contact_writes(line: Line) -> None:
    row = await do(control.snooze, line, await opened(line), now() + timedelta(days=1))
    assert row.status is SNOOZED
    await line.says("I found it")
    back = await inbox.conversation(line.team, row.id)
    assert (back.status, back.snoozed_until) == (OPEN, None)


async def test_two_clocks_wake_one_that_is_snoozed_once(line: Line) -> None:
    row = await do(control.snooze, line, await opened(line), now() + timedelta(hours=1))

    async def clock() -> int:
        async with transaction() as session:
            return await control.wake_due(session)

    assert (await inbox.conversation(line.team, row.id)).status is SNOOZED
    with time_machine.travel(now() + timedelta(hours=1, minutes=1), tick=True):
        await asyncio.gather(*(clock() for _ in range(4)))
    back = await inbox.conversation(line.team, row.id)
    assert (back.status, back.snoozed_until) == (OPEN, None)
    assert back.last_activity_at > row.last_activity_at
    assert (await actions(row.id)).count("conversation.reopened") == 1


@pytest.mark.parametrize("away", [timedelta(seconds=-1), timedelta(days=367)])
async def test_snoozing_is_for_the_future_and_a_year_at_most(line: Line, away: timedelta) -> None:
    row = await opened(line)
    with pytest.raises(Invalid, match="until"):
        await do(control.snooze, line, row, now() + away)


async def test_an_old_one_is_not_reopened_beside_one_that_is_open(line: Line) -> None:
    old = await do(control.mark_spam, line, await opened(line))
    async with transaction() as session:
        new = await opening.open_or_find(session, line.agent, line.contact_id, ChannelKind.IN_APP)
    assert new.previous_id == old.id
    with pytest.raises(Conflict, match="Another conversation"):
        await do(control.reopen, line, old)


async def test_what_is_done_twice_is_told_once(line: Line) -> None:
    row = await opened(line)
    for verb in (control.set_aside, control.resolve, control.reopen):
        first, second = await do(verb, line, row), await do(verb, line, row)
        assert first.version == second.version
    for _ in range(2):
        await do(control.prioritise, line, row, Priority.HIGH)
    kinds = ["conversation.updated", "conversation.resolved", "conversation.reopened", "conversation.updated"]
    assert await actions(row.id) == ["conversation.opened", *kinds]


async def test_another_app_finds_nothing(line: Line) -> None:
    row, stranger = await opened(line), await inbox.line()
    for verb in (control.resolve, control.reopen, control.set_aside, control.mark_spam, reads.mark_read):
        with pytest.raises(NotFound):
            await do(verb, stranger, row)


STEPS = st.lists(st.sampled_from(["resolve", "reopen", "set_aside", "mark_spam", "snooze", "say", "answer", "week"]))
AFTER: dict[str, dict[ConversationStatus, ConversationStatus | None]] = {
    "resolve": dict.fromkeys(ConversationStatus, RESOLVED),
    "reopen": dict.fromkeys(ConversationStatus, OPEN),
    "mark_spam": dict.fromkeys(ConversationStatus, SPAM),
    "set_aside": {OPEN: PENDING, PENDING: PENDING, SNOOZED: PENDING, RESOLVED: None, SPAM: None},
    "snooze": {OPEN: SNOOZED, PENDING: SNOOZED, SNOOZED: SNOOZED, RESOLVED: None, SPAM: None},
    "say": {OPEN: OPEN, PENDING: PENDING, SNOOZED: OPEN, RESOLVED: OPEN, SPAM: SPAM},
    "answer": {OPEN: OPEN, PENDING: PENDING, SNOOZED: SNOOZED, RESOLVED: RESOLVED, SPAM: None},
}
"""What each step makes of each status; None: it is refused. Compare docs/inbox.md."""


@settings(max_examples=30)
@given(steps=STEPS)
async def test_statuses_follow_the_table_and_no_contact_ever_has_two_open(steps: list[str]) -> None:
    line = await inbox.line()
    row = await opened(line)
    status, clock = OPEN, time_machine.travel(now(), tick=True)
    with clock as moved:
        for step in steps:
            if step == "week":
                moved.shift(timedelta(days=8))
                continue
            status = await _step(line, row, step, status)
            row = await _current(line)
            assert row.status is status
            _holds_together(row)


async def _step(line: Line, row: Conversation, step: str, status: ConversationStatus) -> ConversationStatus:
    """Take a step; the status that it must lead to."""
    is_past = status is RESOLVED and now() - (row.resolved_at or now()) > opening.REOPENS_WITHIN
    expected = AFTER[step][status]
    try:
        if step == "say":
            said = await line.says()
            assert (said.conversation_id != row.id) is is_past
        elif step == "answer":
            await line.answers(row.id)
        else:
            until = [now() + timedelta(days=30)] if step == "snooze" else []
            await do(getattr(control, step), line, row, *until)
    except Conflict:
        assert expected is None
        return status
    assert expected, f"{step} was to be refused"
    return expected


async def _current(line: Line) -> Conversation:
    """The newest conversation of the contact; at most one of them is open."""
    rows = [row for row in await inbox.conversations(line.team) if row.contact_id == line.contact_id]
    assert sum(row.status not in {RESOLVED, SPAM} for row in rows) <= 1
    return rows[-1]


def _holds_together(row: Conversation) -> None:
    assert (row.snoozed_until is not None) is (row.status is SNOOZED)
    assert (row.resolved_at is not None) is (row.status is RESOLVED)
    assert row.last_activity_at >= row.last_message_at


async def test_only_what_the_contact_sends_makes_unread(line: Line) -> None:
    row = await opened(line)
    await line.says("And another thing")
    assert await unread(line, row) == 2
    await do(reads.mark_read, line, row)
    await line.notes(row.id)
    await line.answers(row.id)
    await do(control.prioritise, line, row, Priority.URGENT)
    assert await unread(line, row) == 0
    third = await line.says("Third")
    await line.says("Fourth")
    assert await unread(line, row) == 2
    await do(reads.mark_read, line, row, third.id)
    assert await unread(line, row) == 1


async def test_reading_goes_forward_and_unread_back(line: Line) -> None:
    first = await line.says("1")
    row = await inbox.conversation(line.team, first.conversation_id)
    second = await line.says("2")
    await do(reads.mark_read, line, row, second.id)
    await do(reads.mark_read, line, row, first.id)
    assert await unread(line, row) == 0
    await do(reads.mark_unread, line, row)
    assert await unread(line, row) == 1
    await do(reads.mark_unread, line, row, first.id)
    assert await unread(line, row) == 2


async def test_everybody_reads_for_themselves(line: Line) -> None:
    row, colleague = await opened(line), await factories.team(app_id=line.team.app_id)
    await do(reads.mark_read, line, row)
    theirs = (row.id, colleague.user_id)
    async with transaction() as session:
        counts = await reads.unread_counts(session, [(row.id, line.team.user_id), theirs])
    assert counts == {(row.id, line.team.user_id): 0, theirs: 1}


async def test_unread_is_counted_to_a_hundred(line: Line) -> None:
    row = await opened(line)
    for no in range(100):
        await line.says(str(no))
    assert await unread(line, row) == 100


async def unread(line: Line, row: Conversation) -> int:
    mine = (row.id, line.team.user_id)
    async with transaction() as session:
        return (await reads.unread_counts(session, [mine]))[mine]


async def test_views_are_listed_and_counted_alike() -> None:
    lines = [await inbox.line(team) for team in [await factories.team()] for _ in range(7)]
    one = lines[0]
    rows = [await opened(line) for line in lines]
    await do(control.resolve, one, rows[1])
    await do(control.set_aside, one, rows[2])
    await do(control.mark_spam, one, rows[3])
    await do(control.snooze, one, rows[4], now() + timedelta(days=1))
    await do(reads.mark_read, one, rows[5])
    await do(control.prioritise, one, rows[5], Priority.LOW)
    async with transaction() as session:
        mine = sa.update(Conversation).where(Conversation.id.in_([rows[0].id, rows[2].id]))
        await session.execute(mine.values(assignee_id=one.team.user_id))
        label = await labels.create(session, one.agent, {"name": "VIP", "colour": "#ff0000"})
        for row in (rows[6], rows[1]):
            await labels.put_on(session, one.agent, row.id, label.id)
    asker = one.team.user_id
    views: dict[Any, list[int]] = {
        Filter(): [6, 5, 4, 3, 2, 1, 0],
        Filter(statuses=(OPEN,)): [6, 5, 0],
        Filter(statuses=(PENDING, OPEN)): [6, 5, 2, 0],
        Filter(assignee_id=asker): [2, 0],
        Filter(statuses=(OPEN,), unassigned=True): [6, 5],
        Filter(label_id=label.id): [6, 1],
        Filter(label_id=label.id, statuses=(RESOLVED,)): [1],
        Filter(priority=Priority.LOW): [5],
        Filter(channel=ChannelKind.EMAIL): [],
        Filter(unread_by=asker): [6, 4, 2, 0],
        Filter(unread_by=asker, statuses=(OPEN,), label_id=label.id): [6],
    }
    for wanted, numbers in views.items():
        assert await listed(one, wanted) == [rows[no].id for no in numbers], wanted
    async with transaction() as session:
        counts = await counting.counts(session, one.team.app_id, asker)
        assert counts == Counts(open=3, pending=1, snoozed=1, resolved=1, spam=1, mine=2, unassigned=2, unread=4)
        assert await labels.open_counts(session, [label.id]) == {label.id: 1}


async def listed(line: Line, wanted: Filter) -> list[Any]:
    async with transaction() as session:
        return [row.id for row in (await listing.listed(session, line.team.app_id, wanted, ALL)).rows]


@pytest.mark.parametrize("labelled", [False, True])
async def test_pages_stand_still_while_conversations_move(labelled: bool) -> None:
    """What moves to the top while somebody turns pages is neither lost nor shown twice below."""
    team = await factories.team()
    lines = [await inbox.line(team) for _ in range(6)]
    rows = [await opened(line) for line in lines]
    async with transaction() as session:
        label = await labels.create(session, lines[0].agent, {"name": "VIP", "colour": "#ff0000"})
        for row in rows:
            await labels.put_on(session, lines[0].agent, row.id, label.id)
    wanted = Filter(label_id=label.id) if labelled else Filter(statuses=(OPEN, PENDING))
    async with transaction() as session:
        first = await listing.listed(session, team.app_id, wanted, PageRequest(first=3))
    assert [row.id for row in first.rows] == [rows[5].id, rows[4].id, rows[3].id]
    await lines[1].says("Up")
    await lines[4].says("Up as well")
    async with transaction() as session:
        after = PageRequest(first=3, after=first.cursor_of(first.rows[-1]))
        second = await listing.listed(session, team.app_id, wanted, after)
        before = PageRequest(last=3, before=second.cursor_of(second.rows[0]))
        back = await listing.listed(session, team.app_id, wanted, before)
    assert [row.id for row in second.rows] == [rows[2].id, rows[0].id]
    assert [row.id for row in back.rows] == [rows[1].id, rows[5].id, rows[3].id]
    assert (second.has_next, back.has_previous) == (False, True)
