"""Who is told of what, how it is counted, and when it is settled; with the dispatcher run by the test itself."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import now
from core.database import transaction
from core.errors import Invalid, NotFound
from core.ids import new_id
from domain import contacts, facts
from domain.broadcasts import queries
from domain.conversations import control, reads
from domain.conversations.assignment import control as assignment
from domain.messages import sending
from domain.messages.writing import Draft
from domain.notifications import own, preferences, writing
from domain.principals import SYSTEM, Principal
from domain.team import members
from jobs import facts as dispatcher
from models.apps import App
from models.facts import Fact, FactKind
from models.notifications import EmailMode, Notification, NotificationMailing, NotificationType
from models.team import AdminUser, Membership, Role
from tests.support import factories, inbox
from tests.support.factories import Team
from tests.support.inbox import Line
from tests.support.notified import dispatched, rows, told
from tests.support.plans import explained
from tests.support.statements import recorded
from tests.support.waiting import until, waits_for_a_lock


@pytest.fixture
async def agent(team: Team) -> Team:
    return await factories.team(Role.AGENT, team.app_id)


@pytest.fixture
async def line(team: Team) -> Line:
    return await inbox.line(team)


async def assign(line: Line, conversation_id: UUID, who: Team | None) -> None:
    """By the owner."""
    async with transaction() as session:
        if who:
            await assignment.assign(session, line.agent, conversation_id, who.user_id)
        else:
            await assignment.unassign(session, line.agent, conversation_id)


async def read(who: Team, conversation_id: UUID, up_to: UUID | None = None) -> None:
    async with transaction() as session:
        await reads.mark_read(session, factories.principal(who), conversation_id, up_to)


async def answers(who: Team, conversation_id: UUID) -> None:
    async with transaction() as session:
        await sending.send(session, factories.principal(who), conversation_id, Draft("Hi there"))


async def mention(line: Line, conversation_id: UUID, *whom: Team) -> None:
    """By the owner."""
    async with transaction() as session:
        draft = Draft("Look", mentioned_ids=[who.user_id for who in whom])
        await sending.note(session, line.agent, conversation_id, draft)


async def given_to(line: Line, who: Team) -> UUID:
    """A conversation that somebody answers, of which they have read what they were told."""
    id_ = (await line.says()).conversation_id
    await assign(line, id_, who)
    await dispatched()
    await read(who, id_)
    return id_


async def prefer(who: Team, type_: NotificationType, **wanted: Any) -> None:
    async with transaction() as session:
        await preferences.set_preference(session, factories.principal(who), type_, **wanted)


async def test_new_messages_are_one_notification_of_who_answers_until_it_is_read(
    team: Team, agent: Team, line: Line
) -> None:
    id_ = await given_to(line, agent)
    for _ in range(2):
        await line.says()
    assert (await dispatched(agent))[2:] == [("NEW_MESSAGE", 2, True)]
    last = await line.says()
    assert (await dispatched(agent))[2:] == [("NEW_MESSAGE", 3, True)]
    row = (await rows(agent.app_id, agent.user_id))[-1]
    assert (row.entity_id, row.conversation_id, row.message_id, row.last_at) == (id_, id_, last.id, last.created_at)
    assert row.actor == f"device:{line.device.device()}"
    await read(agent, id_)
    assert (await told(agent))[2:] == [("NEW_MESSAGE", 3, False)]
    await line.says()
    assert (await dispatched(agent))[2:] == [("NEW_MESSAGE", 3, False), ("NEW_MESSAGE", 1, True)]
    assert [one for one in await told(team) if one[0] == "NEW_MESSAGE"] == []


async def test_what_nobody_answers_is_told_to_all_until_somebody_has_it(team: Team, agent: Team, line: Line) -> None:
    other = await factories.team(Role.ADMIN, team.app_id)
    stranger = await factories.team()
    id_ = (await line.says()).conversation_id
    for who in (team, agent, other):
        assert await dispatched(who) == [("UNASSIGNED_MESSAGE", 1, True)]
    assert await dispatched(stranger) == []
    await assign(line, id_, agent)
    assert await dispatched(agent) == [("UNASSIGNED_MESSAGE", 1, False), ("CONVERSATION_ASSIGNED", 1, True)]
    for who in (team, other):
        assert await told(who) == [("UNASSIGNED_MESSAGE", 1, False)]


async def test_an_assignment_that_is_taken_away_is_settled_with_its_messages(agent: Team, line: Line) -> None:
    id_ = (await line.says()).conversation_id
    await assign(line, id_, agent)
    await line.says()
    assert await dispatched(agent) == [("CONVERSATION_ASSIGNED", 1, True), ("NEW_MESSAGE", 2, True)]
    await assign(line, id_, None)
    assert await dispatched(agent) == [("CONVERSATION_ASSIGNED", 1, False), ("NEW_MESSAGE", 2, False)]


async def test_what_goes_to_and_fro_before_it_is_told_is_told_as_it_is(team: Team, agent: Team, line: Line) -> None:
    other = await factories.team(Role.AGENT, team.app_id)
    id_ = (await line.says()).conversation_id
    for who in (agent, other, agent, other):
        await assign(line, id_, who)
    assert await dispatched(other) == [("CONVERSATION_ASSIGNED", 1, True), ("NEW_MESSAGE", 1, True)]
    assert await told(agent) == []


async def test_who_takes_a_conversation_needs_not_be_told(team: Team, line: Line) -> None:
    id_ = (await line.says()).conversation_id
    await assign(line, id_, team)
    await read(team, id_)
    assert await dispatched(team) == []


@pytest.mark.parametrize("close", [control.resolve, control.mark_spam])
async def test_closing_settles_it_for_all(
    team: Team, agent: Team, line: Line, close: Callable[..., Awaitable[Any]]
) -> None:
    id_ = (await line.says()).conversation_id
    await dispatched()
    async with transaction() as session:
        await close(session, line.agent, id_)
    for who in (team, agent):
        assert await dispatched(who) == [("UNASSIGNED_MESSAGE", 1, False)]


async def test_spam_calls_nobody(team: Team, line: Line) -> None:
    id_ = (await line.says()).conversation_id
    async with transaction() as session:
        await control.mark_spam(session, line.agent, id_)
    await line.says()
    assert await dispatched(team) == []


async def test_what_somebody_has_answered_is_settled_for_all(team: Team, agent: Team, line: Line) -> None:
    id_ = (await line.says()).conversation_id
    await dispatched()
    await answers(agent, id_)
    for who in (team, agent):
        assert await dispatched(who) == [("UNASSIGNED_MESSAGE", 1, False)]
    await line.says()
    await answers(agent, id_)
    await line.says()
    assert await dispatched(team) == [("UNASSIGNED_MESSAGE", 1, False), ("UNASSIGNED_MESSAGE", 1, True)]


async def test_what_a_program_says_settles_nothing(team: Team, line: Line) -> None:
    id_ = (await line.says()).conversation_id
    key = (await factories.api_key(team)).api_key
    program = Principal(line.agent.app_id, line.agent.permissions, line.agent.expires_at, api_key_id=key.id)
    async with transaction() as session:
        await sending.send(session, program, id_, Draft("We got your message."))
    assert await dispatched(team) == [("UNASSIGNED_MESSAGE", 1, True)]


async def test_what_is_read_before_it_is_told_is_not_told(team: Team, agent: Team, line: Line) -> None:
    id_ = (await line.says()).conversation_id
    await read(team, id_)
    assert await dispatched(team) == []
    assert await told(agent) == [("UNASSIGNED_MESSAGE", 1, True)]


async def test_what_is_read_while_it_is_told_is_settled(team: Team, line: Line) -> None:
    said = await line.says()
    async with transaction() as session:
        batch = await facts.take(session)
        await writing.follow(session, batch, {})
        await read(team, said.conversation_id)
    assert await told(team) == [("UNASSIGNED_MESSAGE", 1, True)], "it could not be seen yet"
    assert await dispatched(team) == [("UNASSIGNED_MESSAGE", 1, False)]


async def test_reading_up_to_a_message_leaves_what_came_after(team: Team, line: Line) -> None:
    first = await line.says()
    await line.says()
    await dispatched()
    await read(team, first.conversation_id, first.id)
    assert await dispatched(team) == [("UNASSIGNED_MESSAGE", 2, True)]


async def test_who_looks_at_a_conversation_is_not_told_of_its_messages(team: Team, agent: Team, line: Line) -> None:
    said = await line.says()
    async with transaction() as session:
        batch = await facts.take(session)
        assert said.conversation_id in writing.conversations_of(batch)
        await writing.follow(session, batch, {said.conversation_id: {team.user_id}})
    assert await told(team) == []
    assert await told(agent) == [("UNASSIGNED_MESSAGE", 1, True)]


async def test_a_note_calls_those_whom_it_mentions_but_who_wrote_it(team: Team, agent: Team, line: Line) -> None:
    id_ = (await line.says()).conversation_id
    await read(team, id_)
    await read(agent, id_)
    await mention(line, id_, team, agent)
    await mention(line, id_, agent)
    assert await dispatched(agent) == [("MENTION", 2, True)]
    assert await told(team) == []
    async with transaction() as session:
        await control.resolve(session, line.agent, id_)
    assert await dispatched(agent) == [("MENTION", 2, True)], "a call is not answered by closing"
    await read(agent, id_)
    assert await told(agent) == [("MENTION", 2, False)]


async def ended(team: Team, kind: FactKind, **fields: Any) -> UUID:
    """A broadcast that ends."""
    row = await factories.broadcast(team, **fields)
    async with transaction() as session:
        queries.record(session, SYSTEM, kind, row)
    return row.id


async def test_the_end_of_a_broadcast_is_told_to_who_made_it(team: Team, agent: Team) -> None:
    id_ = await ended(team, FactKind.BROADCAST_SENT, created_by_id=agent.user_id)
    await ended(team, FactKind.BROADCAST_FAILED, created_by_id=agent.user_id)
    assert sorted(await dispatched(agent)) == [("BROADCAST_FAILED", 1, True), ("BROADCAST_SENT", 1, True)]
    assert id_ in {row.entity_id for row in await rows(agent.app_id, agent.user_id)}
    assert await told(team) == []


async def test_it_is_told_to_the_owners_when_who_made_it_is_gone(team: Team, agent: Team) -> None:
    elsewhere = await factories.team()
    await ended(team, FactKind.BROADCAST_SENT, created_by_id=elsewhere.user_id)
    await ended(team, FactKind.BROADCAST_FAILED)
    assert sorted(await dispatched(team)) == [("BROADCAST_FAILED", 1, True), ("BROADCAST_SENT", 1, True)]
    assert await told(agent) == await told(elsewhere) == []


async def test_who_wants_it_neither_here_nor_by_mail_is_not_told(team: Team, agent: Team, line: Line) -> None:
    await prefer(agent, NotificationType.UNASSIGNED_MESSAGE, in_app=False)
    await prefer(team, NotificationType.UNASSIGNED_MESSAGE, in_app=False, email=EmailMode.DIGEST)
    await line.says()
    assert await dispatched(agent) == []
    assert await told(team) == [("UNASSIGNED_MESSAGE", 1, True)], "for the mail"
    async with transaction() as session:
        assert await own.unread_count(session, line.agent) == 0
        page = await own.listed(session, line.agent, own.Filter(), own.PageRequest())
        assert list(page.rows) == []


async def mailed(who: Team) -> list[EmailMode]:
    async with transaction() as session:
        own_ = sa.select(NotificationMailing.mode).filter_by(app_id=who.app_id, user_id=who.user_id)
        return list(await session.scalars(own_))


@pytest.mark.parametrize(("setting", "modes"), [(False, []), (True, [EmailMode.AT_ONCE])])
async def test_the_app_says_whether_who_has_not_said_otherwise_gets_a_mail(
    team: Team, agent: Team, line: Line, setting: bool, modes: list[EmailMode]
) -> None:
    async with transaction() as session:
        (await session.get_one(App, team.app_id)).email_on_new_conversation = setting
    await prefer(team, NotificationType.UNASSIGNED_MESSAGE, email=EmailMode.OFF)
    await line.says()
    await dispatched()
    assert (await mailed(agent), await mailed(team)) == (modes, [])
    async with transaction() as session:
        seen = (await preferences.look(session, factories.principal(agent))).types
    usual = {one.type: one.email for one in seen}
    expected = EmailMode.AT_ONCE if setting else EmailMode.OFF
    assert (usual[NotificationType.UNASSIGNED_MESSAGE], usual[NotificationType.NEW_MESSAGE]) == (
        expected,
        EmailMode.OFF,
    )


async def test_who_leaves_the_team_loses_theirs_and_is_told_no_more(team: Team, agent: Team, line: Line) -> None:
    await line.says()
    await dispatched()
    async with transaction() as session:
        member = await session.scalar(sa.select(Membership.id).where(Membership.user_id == agent.user_id))
        await members.remove(session, line.agent, member)
    assert await told(agent) == []
    await line.says()
    assert await dispatched(agent) == []
    assert await told(team) == [("UNASSIGNED_MESSAGE", 2, True)]


async def test_they_go_with_the_person_and_with_the_contact(team: Team, agent: Team, line: Line) -> None:
    await line.says()
    await dispatched()
    async with transaction() as session:
        await session.execute(sa.delete(AdminUser).where(AdminUser.id == agent.user_id))
    assert await told(agent) == []
    async with transaction() as session:
        await contacts.delete(session, line.agent, line.contact_id)
    assert await dispatched(team) == []


async def test_who_leaves_while_it_is_told_waits(team: Team, agent: Team, line: Line) -> None:
    await line.says()

    async def leave() -> None:
        async with transaction() as session:
            await members.leave(session, factories.principal(agent))

    async with transaction() as session:
        await writing.follow(session, await facts.take(session), {})
        leaving = asyncio.create_task(leave())
        await until(waits_for_a_lock)
    await leaving
    assert await told(agent) == []
    assert await told(team) == [("UNASSIGNED_MESSAGE", 1, True)]


async def test_a_fact_whose_thing_is_gone_is_passed_over(team: Team, line: Line) -> None:
    await line.says()
    async with transaction() as session:
        lost = {"app_id": team.app_id, "entity_id": new_id(), "actor": "system"}
        of = {"conversationId": str(new_id()), "workflow_id": str(new_id())}
        session.add_all([Fact(kind=kind, data=of, **lost) for kind in facts.FOLLOWED - facts.WOKEN])
    assert await dispatched(team) == [("UNASSIGNED_MESSAGE", 1, True)]


async def test_many_facts_cost_as_many_statements_as_few(team: Team) -> None:
    async def sent(count: int) -> list[str]:
        for _ in range(count):
            line = await inbox.line(team)
            id_ = (await line.says()).conversation_id
            await mention(line, id_, team)
            await ended(team, FactKind.BROADCAST_SENT, created_by_id=team.user_id)
            if _ % 2:
                await answers(team, id_)
        with recorded() as seen:
            await dispatched()
        return seen

    await dispatched()
    few = await sent(2)
    for _ in range(20):
        await factories.team(Role.AGENT, team.app_id)
    assert len(await sent(20)) == len(few)


async def test_what_is_too_much_at_once_is_told_in_parts(
    team: Team, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow, tried = writing.follow, list[int]()

    async def weak(session: Any, batch: Sequence[Fact], looking: Any) -> None:
        await follow(session, batch, looking)
        tried.append(len(batch))
        if len(batch) > 2:
            raise RuntimeError("too much")

    await dispatched()
    for _ in range(6):
        await line.says()
    monkeypatch.setattr(writing, "follow", weak)
    monkeypatch.setattr(dispatcher, "BATCH", 10)
    assert await dispatched(team) == [("UNASSIGNED_MESSAGE", 6, True)]
    assert tried[:2] == [6, 2]


async def test_a_fact_that_fails_alone_keeps_none_of_the_others(
    team: Team, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow = writing.follow
    await dispatched()
    poisoned = (await line.says()).id
    for _ in range(3):
        await line.says()

    async def weak(session: Any, batch: Sequence[Fact], looking: Any) -> None:
        if any(fact.entity_id == poisoned for fact in batch):
            raise RuntimeError("poison")
        await follow(session, batch, looking)

    monkeypatch.setattr(writing, "follow", weak)
    monkeypatch.setattr(dispatcher, "BATCH", 10)
    assert await dispatched(team) == [("UNASSIGNED_MESSAGE", 3, True)]
    async with transaction() as session:
        assert await facts.waiting(session) is False


@pytest.mark.parametrize(("reason", "kinds"), [("MANUAL", []), ("FAILING", [("WEBHOOK_DISABLED", 1, True)])])
async def test_owners_hear_of_webhooks_that_are_disabled_by_what_their_server_does(
    team: Team, reason: str, kinds: list[tuple[str, int, bool]]
) -> None:
    webhook, _ = await factories.webhook(team)
    async with transaction() as session:
        facts.record(session, SYSTEM, FactKind.WEBHOOK_DISABLED, webhook, change=(None, {}), reason=reason)
    assert await dispatched(team) == kinds


async def test_what_nobody_wanted_by_mail_is_not_mailed_when_mails_are_switched_on(team: Team, line: Line) -> None:
    await prefer(team, NotificationType.UNASSIGNED_MESSAGE, email=EmailMode.OFF)
    await line.says()
    await dispatched()
    (row,) = await rows(team.app_id, team.user_id)
    assert row.unmailed is False
    await prefer(team, NotificationType.UNASSIGNED_MESSAGE, email=EmailMode.AT_ONCE)
    await line.says()
    await dispatched()
    (row,) = await rows(team.app_id, team.user_id)
    assert (row.unmailed, row.count) == (True, 2)


async def test_what_is_marked_by_hand(team: Team, line: Line) -> None:
    asker = line.agent
    said = await line.says()
    await dispatched()
    (row,) = await rows(team.app_id, team.user_id)
    async with transaction() as session:
        with time_machine.travel(at := now(), tick=False):
            (marked,) = await own.mark_read(session, asker, [row.id])
        assert marked.read_at == at
        (marked,) = await own.mark_unread(session, asker, [row.id])
    await line.says()
    assert await dispatched(team) == [("UNASSIGNED_MESSAGE", 1, True), ("UNASSIGNED_MESSAGE", 1, True)]
    async with transaction() as session:
        await own.archive(session, asker, [row.id, row.id])
    async with transaction() as session:
        assert await own.unread_count(session, asker) == 1
        for archived, count in ((False, 1), (True, 1)):
            page = await own.listed(session, asker, own.Filter(archived=archived), own.PageRequest())
            assert await page.count() == len(page.rows) == count
    async with transaction() as session:
        await own.mark_unread(session, asker, [row.id])
        assert await own.mark_all_read(session, asker, until=said.created_at) == 1
        assert await own.mark_all_read(session, asker) == 1
        assert await own.mark_all_read(session, asker) == 0
        with pytest.raises(NotFound):
            await own.mark_read(session, asker, [row.id, new_id()])
        with pytest.raises(Invalid):
            await own.mark_read(session, asker, [new_id() for _ in range(101)])


async def test_very_many_are_marked_at_once(team: Team) -> None:
    many, about = 33_000, {"app_id": team.app_id, "user_id": team.user_id, "actor": "system"}
    async with transaction() as session:
        await session.execute(
            sa.text(
                "INSERT INTO notifications (id, app_id, user_id, type, entity_id, actor, count, in_app, grows,"
                " archived, unmailed, last_at) SELECT gen_random_uuid(), :app_id, :user_id, 'MENTION',"
                " gen_random_uuid(), :actor, 1, true, true, false, true, now() FROM generate_series(1, :many)"
            ),
            about | {"many": many},
        )
    async with transaction() as session:
        assert await own.mark_all_read(session, factories.principal(team)) == many


# What can happen to one conversation and what its assignee was told of it.
STEPS = st.lists(
    st.sampled_from(["say", "say", "tell", "tell", "read", "mark", "unmark", "archive", "answer", "all"]), max_size=14
)


@dataclass
class Model:
    """What must stand: of each notification its count, whether it is unread, and whether it grows.

    Attributes:
        waiting: messages that the dispatcher has not seen.
    """

    told: list[tuple[int, bool, bool]] = field(default_factory=list)
    waiting: int = 0

    def take(self, step: str) -> None:
        if step == "say":
            self.waiting += 1
        elif step == "tell":
            self._tell()
        elif step in {"read", "answer", "all"}:
            self.told = [(count, False, False) for count, _, _ in self.told]
            self.waiting = self.waiting if step == "all" else 0
        elif self.told:
            count, _, grows = self.told[-1]
            self.told[-1] = (count, step == "unmark", grows and step == "unmark")

    def _tell(self) -> None:
        if self.waiting and self.told and self.told[-1][2]:
            self.told[-1] = (self.told[-1][0] + self.waiting, True, True)
        elif self.waiting:
            self.told.append((self.waiting, True, True))
        self.waiting = 0


async def do(step: str, line: Line, conversation_id: UUID) -> None:
    if step == "say":
        await line.says()
    elif step == "tell":
        await dispatched()
    elif step == "all":
        async with transaction() as session:
            await own.mark_all_read(session, line.agent)
    elif step in {"read", "answer"}:
        if step == "answer":
            await answers(line.team, conversation_id)
        await read(line.team, conversation_id)
    else:
        by = {"mark": own.mark_read, "unmark": own.mark_unread, "archive": own.archive}[step]
        newest = (await rows(line.team.app_id, line.team.user_id))[-1:]
        async with transaction() as session:
            await by(session, line.agent, [row.id for row in newest])


@settings(max_examples=40)
@given(steps=STEPS)
async def test_each_message_counts_once_and_one_notification_grows_at_most(steps: list[str]) -> None:
    team = await factories.team()
    line = await inbox.line(team)
    said = await line.says()
    await assign(line, said.conversation_id, team)
    await read(team, said.conversation_id)
    model = Model()
    for step in [*steps, "tell"]:
        await do(step, line, said.conversation_id)
        model.take(step)
        found = await rows(team.app_id, team.user_id)
        assert [(row.count, row.read_at is None, row.grows) for row in found] == model.told


async def test_an_index_finds_what_is_unread(team: Team) -> None:
    unread = sa.select(Notification.id).where(
        Notification.app_id == team.app_id, Notification.user_id == team.user_id, Notification.read_at.is_(None)
    )
    assert "ix_notifications_unread" in await explained(unread)
