"""Messages: written once, in order, read by whom they are for, edited and deleted with a trace. F2, F3."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine

from core.clock import now
from core.database import transaction
from core.errors import Conflict, IdempotencyKeyReused, Invalid, NotFound
from core.ids import new_id
from domain import contacts, in_app_messages, reports
from domain.conversations import control, searching
from domain.in_app_messages import Position, ReceiptKind
from domain.messages import changing, listing, receipts, sending
from domain.messages.receipts import Receipt, Report
from domain.messages.sending import Unseen
from domain.messages.writing import Draft, Writer
from domain.pages import PageRequest
from domain.principals import SYSTEM
from models.channels import ChannelKind
from models.conversations import Conversation, Direction
from models.facts import Fact, FactKind
from models.messages import AuthorKind, Message, MessageRevision, MessageStatus
from tests.support import factories, inbox
from tests.support.audited import entries
from tests.support.inbox import Line

QUEUED, SENT, DELIVERED, READ, FAILED = MessageStatus
EVERYTHING = PageRequest(last=100)


@pytest.fixture
async def line(database: None) -> Line:
    return await inbox.line()


async def thread(conversation_id: UUID) -> Sequence[Message]:
    async with transaction() as session:
        found = await listing.pages(session, [(conversation_id, EVERYTHING)])
    return found[conversation_id, EVERYTHING].rows


async def test_the_same_key_in_parallel_writes_one_message(line: Line) -> None:
    said = await asyncio.gather(*(line.says("Hello", "first") for _ in range(6)))
    assert len({one.id for one in said}) == 1
    answers = await asyncio.gather(*(line.answers(said[0].conversation_id, "Hi", "a1") for _ in range(6)))
    assert len({one.id for one in answers}) == 1
    assert [one.body for one in await thread(said[0].conversation_id)] == ["Hello", "Hi"]


async def test_a_key_is_the_senders_own(line: Line) -> None:
    said = await line.says("Hello", "1")
    assert (await line.answers(said.conversation_id, "Hi", "1")).id != said.id
    with pytest.raises(IdempotencyKeyReused):
        await line.answers(said.conversation_id, "Something else", "1")
    elsewhere = await inbox.line(line.team)
    other = await elsewhere.says()
    with pytest.raises(IdempotencyKeyReused):
        await line.answers(other.conversation_id, "Hi", "1")


async def test_a_repeated_message_opens_nothing_when_its_conversation_is_long_done(line: Line) -> None:
    said = await line.says("Hello", "1")
    async with transaction() as session:
        await control.resolve(session, line.agent, said.conversation_id)
    with time_machine.travel(now() + timedelta(days=30), tick=True):
        assert (await line.says("Hello", "1")).id == said.id
    assert len(await inbox.conversations(line.team)) == 1


async def test_what_a_provider_brings_twice_is_written_once(line: Line) -> None:
    writer, draft = Writer(AuthorKind.CONTACT, line.contact_id, SYSTEM), Draft("Hello", provider_id="wamid.1")

    async def bring() -> Message:
        async with transaction() as session:
            of = (line.team.app_id, line.contact_id)
            return await sending.receive(session, writer, of, draft, ChannelKind.WHATSAPP)

    assert len({one.id for one in await asyncio.gather(*(bring() for _ in range(5)))}) == 1
    (row,) = await inbox.conversations(line.team)
    assert (row.channel, row.message_count) == (ChannelKind.WHATSAPP, 1)


async def test_messages_stand_in_order_even_when_a_clock_goes_back(line: Line) -> None:
    said = await line.says("1")
    with time_machine.travel(now() - timedelta(minutes=5), tick=True):
        await line.answers(said.conversation_id, "2")
        await line.notes(said.conversation_id, "3")
    rows = await thread(said.conversation_id)
    assert [row.body for row in rows] == ["1", "2", "3"]
    assert all(one.created_at < other.created_at for one, other in pairwise(rows))


async def test_who_has_not_seen_what_others_wrote_sends_nothing(line: Line) -> None:
    said = await line.says("Hello")
    await line.answers(said.conversation_id, "Mine")
    colleague = factories.principal(await factories.team(app_id=line.team.app_id))
    async with transaction() as session:
        note = await sending.note(session, colleague, said.conversation_id, Draft("I take this"))
    more = await line.says("Anybody?")
    with pytest.raises(Unseen) as refused:
        await expecting(line, said)
    assert refused.value.code == "CONFLICT"
    assert [row.id for row in refused.value.found["unseen_messages"]] == [note.id, more.id]  # type: ignore[attr-defined]
    assert (await expecting(line, more)).body == "Answer"
    with pytest.raises(NotFound):
        await expecting(line, await (await inbox.line(line.team)).says())


async def expecting(line: Line, last: Message) -> Message:
    (row,) = [row for row in await inbox.conversations(line.team) if row.contact_id == line.contact_id]
    async with transaction() as session:
        draft = Draft("Answer")
        return await sending.send(session, line.agent, row.id, draft, expected_last_message_id=last.id)


async def test_two_agents_who_answer_the_same_message_at_once_do_not_talk_across_each_other(line: Line) -> None:
    said = await line.says("Hello")
    agents = [line.agent, factories.principal(await factories.team(app_id=line.team.app_id))]

    async def answer(no: int) -> Message:
        async with transaction() as session:
            draft = Draft(f"Answer {no}")
            return await sending.send(
                session, agents[no], said.conversation_id, draft, expected_last_message_id=said.id
            )

    done = await asyncio.gather(answer(0), answer(1), return_exceptions=True)
    assert {type(one) for one in done} == {Message, Unseen}


async def test_since_when_the_contact_waits_and_when_a_person_first_answered(line: Line) -> None:
    first = await line.says("Hello")
    await line.says("Hello?")
    await line.notes(first.conversation_id)
    waiting = await inbox.conversation(line.team, first.conversation_id)
    assert (waiting.waiting_since, waiting.first_response_at) == (first.created_at, None)
    answer = await line.answers(first.conversation_id)
    await line.answers(first.conversation_id, "And more")
    answered = await inbox.conversation(line.team, first.conversation_id)
    assert (answered.waiting_since, answered.first_response_at) == (None, answer.created_at)
    assert (answered.last_message_preview, answered.last_message_direction) == ("And more", Direction.OUTBOUND)
    assert answered.message_count == 4


@pytest.mark.parametrize(("body", "field"), [("", "body"), (" ", "body"), ("x" * 10_001, "body"), ("\x00", "body")])
async def test_a_message_says_something_and_not_too_much(line: Line, body: str, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        await line.says(body)
    assert refused.value.field == field
    assert await inbox.conversations(line.team) == []


async def test_a_note_calls_people_of_the_team_only(line: Line) -> None:
    said, stranger = await line.says(), await factories.team()
    colleague = await factories.team(app_id=line.team.app_id)
    async with transaction() as session:
        draft = Draft("Look", mentioned_ids=[colleague.user_id, colleague.user_id])
        row = await sending.note(session, line.agent, said.conversation_id, draft)
    assert row.mentioned_ids == [colleague.user_id]
    foreign = Draft("Look", mentioned_ids=[stranger.user_id])
    with pytest.raises(Invalid, match="mentioned"):
        async with transaction() as session:
            await sending.note(session, line.agent, said.conversation_id, foreign)


async def test_nobody_answers_spam(line: Line) -> None:
    said = await line.says()
    async with transaction() as session:
        await control.mark_spam(session, line.agent, said.conversation_id)
    with pytest.raises(Conflict, match="spam"):
        await line.answers(said.conversation_id)


async def test_an_answer_waits_for_the_contacts_devices_and_a_note_does_not(line: Line) -> None:
    said = await line.says()
    await line.notes(said.conversation_id, "Private")
    answer = await line.answers(said.conversation_id, "x" * 600)
    (row,) = await waiting(line)
    assert (row.title, row.body) == ("Acme", "x" * 500)
    assert row.data == {"conversationId": str(said.conversation_id), "messageId": str(answer.id)}
    async with transaction() as session:
        await changing.delete(session, line.agent, answer.id)
    assert await waiting(line) == []


async def waiting(line: Line) -> list[Any]:
    async with transaction() as session:
        (rows,) = await in_app_messages.pending(session, [Position(line.device.device(), 0)])
    return rows


async def test_receipts_go_forward_only_and_include_what_is_before(line: Line) -> None:
    said = await line.says()
    first, second = [await line.answers(said.conversation_id, str(no)) for no in range(2)]
    await line.notes(said.conversation_id)
    at = now()
    with time_machine.travel(at, tick=False):
        assert await mark(line, second, Receipt.DELIVERED) == 2
    with time_machine.travel(at + timedelta(minutes=1), tick=False):
        assert await mark(line, first, Receipt.READ) == 1
    assert await mark(line, second, Receipt.DELIVERED) == 0
    assert await mark(line, first, Receipt.READ) == 0
    rows = await thread(said.conversation_id)
    assert [row.status for row in rows] == [SENT, READ, DELIVERED, SENT]
    assert (rows[1].delivered_at, rows[1].read_at) == (at, at + timedelta(minutes=1))
    row = await inbox.conversation(line.team, said.conversation_id)
    assert (row.contact_read_message_id, row.contact_read_at) == (first.id, first.created_at)


async def test_reading_includes_arriving(line: Line) -> None:
    answer = await line.answers((await line.says()).conversation_id)
    assert await report(line, Report(answer.id, Receipt.DELIVERED), Report(answer.id, Receipt.READ)) == 1
    row = await inbox.message(answer.id)
    assert (row.status, row.delivered_at, row.read_at is not None) == (READ, row.read_at, True)


async def test_a_device_reports_on_an_answer_by_its_in_app_message_too(line: Line) -> None:
    said = await line.says()
    first, second = [await line.answers(said.conversation_id, str(no)) for no in range(2)]
    async with transaction() as session:
        (waiting,) = await in_app_messages.pending(session, [Position(line.device.device(), 0)])
    assert [row.body for row in waiting] == ["0", "1"]
    told = zip(waiting, (ReceiptKind.DELIVERED, ReceiptKind.OPENED), strict=True)
    given = [in_app_messages.Report(line.device.device(), row.id, kind) for row, kind in told]

    for expected in (2, 0):
        async with transaction() as session:
            assert len(await reports.take(session, given, now())) == expected

    assert [row.status for row in await thread(said.conversation_id)] == [SENT, DELIVERED, READ]
    receipts_told = [fact.data["messageIds"] for fact in await facts(line, FactKind.MESSAGE_RECEIPT_CHANGED)]
    assert sorted(receipts_told) == sorted([[str(first.id)], [str(second.id)]])


async def test_receipts_in_parallel_leave_the_furthest_and_tell_each_step_once(line: Line) -> None:
    said = await line.says()
    answers = [await line.answers(said.conversation_id, str(no)) for no in range(4)]
    every = [Report(one.id, receipt) for one in answers for receipt in Receipt]
    await asyncio.gather(
        *(mark(line, answers[-1], receipt) for receipt in Receipt for _ in range(3)),
        *(report(line, *every[::way]) for way in (1, -1) for _ in range(3)),
    )
    assert [row.status for row in await thread(said.conversation_id)] == [SENT, READ, READ, READ, READ]
    told = [
        (id_, fact.data["status"])
        for fact in await facts(line, FactKind.MESSAGE_RECEIPT_CHANGED)
        for id_ in fact.data["messageIds"]
    ]
    assert len(told) == len(set(told))
    assert {id_ for id_, status in told if status == "READ"} == {str(one.id) for one in answers}


async def facts(line: Line, kind: FactKind) -> list[Fact]:
    async with transaction() as session:
        own = sa.select(Fact).where(Fact.app_id == line.team.app_id, Fact.kind == kind)
        return list(await session.scalars(own))


async def test_nobody_reports_on_messages_of_others(line: Line) -> None:
    said, stranger = await line.says(), await inbox.line(line.team)
    answer, note = await line.answers(said.conversation_id), await line.notes(said.conversation_id)
    assert await report(stranger, Report(answer.id, Receipt.READ)) == 0
    assert await report(line, Report(note.id, Receipt.READ), Report(said.id, Receipt.READ)) == 0
    with pytest.raises(NotFound):
        await mark(stranger, answer, Receipt.READ)
    with pytest.raises(NotFound):
        await mark(line, note, Receipt.READ)


async def test_what_failed_stays_failed(line: Line) -> None:
    answer = await line.answers((await line.says()).conversation_id)
    async with transaction() as session:
        which = Message.id == answer.id
        await receipts.advance(session, SYSTEM, which, FAILED, now(), failure="UNREACHABLE")
    assert await mark(line, answer, Receipt.READ) == 0
    row = await inbox.message(answer.id)
    assert (row.status, row.failure, row.read_at) == (FAILED, "UNREACHABLE", None)


async def mark(line: Line, up_to: Message, receipt: Receipt) -> int:
    async with transaction() as session:
        return await receipts.mark(session, line.device, up_to.id, receipt)


async def report(line: Line, *reports: Report) -> int:
    async with transaction() as session:
        return await receipts.report(session, line.device, reports)


async def test_an_edit_keeps_what_was_said_and_a_deletion_takes_it_all(line: Line) -> None:
    answer = await line.answers((await line.says()).conversation_id, "Tpyo")
    async with transaction() as session:
        await changing.edit(session, line.agent, answer.id, "Typo")
    assert await revisions(answer) == [("Tpyo", line.agent.actor)]
    assert (await inbox.conversation(line.team, answer.conversation_id)).last_message_preview == "Typo"
    for _ in range(2):
        async with transaction() as session:
            row = await changing.delete(session, line.agent, answer.id)
    assert (row.body, row.deleted_at is not None, await revisions(answer)) == ("", True, [])
    assert (await inbox.conversation(line.team, answer.conversation_id)).last_message_preview == ""
    with pytest.raises(Conflict, match="deleted"):
        async with transaction() as session:
            await changing.edit(session, line.agent, answer.id, "Again")
    told = await entries(answer.id)
    assert [entry.action for entry in told] == ["message.created", "message.updated", "message.deleted"]
    assert not any("Typo" in str((entry.before, entry.after)) for entry in told)


async def revisions(row: Message) -> list[tuple[str, str]]:
    async with transaction() as session:
        rows = sa.select(MessageRevision.body, MessageRevision.actor).where(MessageRevision.message_id == row.id)
        return [tuple(one) for one in await session.execute(rows)]


async def test_the_words_of_a_contact_stay(line: Line) -> None:
    said = await line.says()
    for work in (
        lambda s: changing.edit(s, line.agent, said.id, "No"),
        lambda s: changing.delete(s, line.agent, said.id),
    ):
        with pytest.raises(Conflict, match="stays"):
            async with transaction() as session:
                await work(session)


async def test_messages_of_many_conversations_are_paged_both_ways(line: Line) -> None:
    other = await inbox.line(line.team)
    one, two = await line.says("a0"), await other.says("b0")
    for no in range(1, 5):
        await line.answers(one.conversation_id, f"a{no}")
    ids = [one.conversation_id, two.conversation_id]
    first, last = PageRequest(first=2), PageRequest(last=2)
    async with transaction() as session:
        found = await listing.pages(session, [(id_, request) for id_ in ids for request in (first, last)])
    assert [row.body for row in found[ids[0], first].rows] == ["a0", "a1"]
    assert [row.body for row in found[ids[0], last].rows] == ["a3", "a4"]
    assert [row.body for row in found[ids[1], last].rows] == ["b0"]
    assert (found[ids[0], first].has_next, found[ids[0], last].has_previous) == (True, True)
    assert await asyncio.gather(*(found[id_, first].count() for id_ in ids)) == [5, 1]
    cursor = found[ids[0], last].cursor_of(found[ids[0], last].rows[0])
    older = PageRequest(last=2, before=cursor)
    async with transaction() as session:
        rows = (await listing.pages(session, [(ids[0], older)]))[ids[0], older].rows
    assert [row.body for row in rows] == ["a1", "a2"]


@pytest.mark.parametrize(
    ("search", "numbers"),
    [
        ("printer", {0, 2}),
        ("PRINTER fire", {0}),
        ('"on fire"', {0}),
        ("printer -fire", {2}),
        ("fire or invoice", {0, 1}),
        ("known as 1", {1}),
        ("nothing of the kind", set()),
        ("100%", set()),
    ],
)
async def test_words_and_people_are_found_in_the_own_app_only(search: str, numbers: set[int]) -> None:
    said = ["My printer is on fire", "Where is my invoice?", "A new printer please"]
    for team in [await factories.team(), await factories.team()]:
        ids = [(await (await inbox.line(team)).says(body)).conversation_id for body in said]
    async with transaction() as session:
        names = sa.text(
            "UPDATE contacts SET name = 'Known as ' || :no"
            " FROM conversations v WHERE v.id = :id AND contacts.id = v.contact_id"
        )
        await session.execute(names, [{"no": str(no), "id": id_} for no, id_ in enumerate(ids)])
        found = await searching.understood(session, team.app_id, search)
        own = sa.select(Conversation.id).where(Conversation.app_id == team.app_id, found)
        assert set(await session.scalars(own)) == {ids[no] for no in numbers}


async def test_common_words_are_found_the_other_way_round(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "HITS_MOST", 2)
    await test_words_and_people_are_found_in_the_own_app_only("printer", {0, 2})


async def test_words_are_looked_up_by_the_index(line: Line) -> None:
    """However many messages there are: no scan of them."""
    said = await line.says("A needle")
    hay = {"app_id": line.team.app_id, "conversation_id": said.conversation_id, "author_kind": AuthorKind.SYSTEM}
    made = {"channel": "IN_APP", "direction": "INBOUND", "status": "SENT", "created_at": now(), **hay}
    async with transaction() as session:
        await session.execute(
            sa.insert(Message),
            [{"id": new_id(), "body": f"hay number {no} {'straw ' * 200}", **made} for no in range(3_000)],
        )
    async with transaction() as session:
        await session.execute(sa.text("SET LOCAL ROLE NONE"))
        await session.execute(sa.text("ANALYZE messages"))
    async with transaction() as session:
        statement = searching.hits(line.team.app_id, "needle").compile(
            dialect=sa.dialects.postgresql.dialect(), compile_kwargs={"literal_binds": True}
        )
        plan = "\n".join(await session.scalars(sa.text(f"EXPLAIN {statement}".replace(":", "\\:"))))
    assert "ix_messages_search" in plan
    assert "Seq Scan" not in plan


async def test_a_contact_is_erased_with_all_that_was_said_also_while_somebody_answers() -> None:
    lines = [await inbox.line() for _ in range(6)]
    ids = [(await line.says()).conversation_id for line in lines]

    async def erase(line: Line) -> None:
        async with transaction() as session:
            await contacts.delete(session, line.agent, line.contact_id)

    pairs = [
        (erase(line), *(line.answers(id_, str(no)) for no in range(3))) for line, id_ in zip(lines, ids, strict=True)
    ]
    done = await asyncio.gather(*(work for pair in pairs for work in pair), return_exceptions=True)
    assert {type(one) for one in done} <= {type(None), Message, NotFound}
    async with transaction() as session:
        assert await session.scalar(sa.select(sa.func.count()).where(Message.conversation_id.in_(ids))) == 0
