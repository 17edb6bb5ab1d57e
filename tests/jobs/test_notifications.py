"""Notifications by mail, and whatever breaks: clocks in any number, a worker killed again and again."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from core.clock import now
from core.database import transaction
from core.encryption import decrypt
from core.ids import new_id
from domain import facts
from domain.conversations import reads
from domain.conversations.assignment import control as assignment
from domain.messages import sending
from domain.messages.writing import Draft
from domain.notifications import mailing, preferences
from domain.notifications.preferences import Digest
from jobs import clock
from models.facts import Fact
from models.mails import Mail
from models.notifications import DigestPeriod, EmailMode, NotificationMailing, NotificationType
from models.team import Role
from tests.support import factories, inbox, processes
from tests.support.factories import Team
from tests.support.inbox import Line
from tests.support.mailed import mails, subjects
from tests.support.notified import dispatched, rows, told
from tests.support.waiting import until

SOON = mailing.DELAY + timedelta(seconds=1)
NINE = datetime.fromisoformat("2031-03-03T09:00:00+00:00")


@pytest.fixture(autouse=True)
async def none_waits(database: None) -> None:
    """Other tests leave some."""
    async with transaction() as session:
        await session.execute(sa.delete(NotificationMailing))
        while await facts.take(session):
            pass


@pytest.fixture
async def agent(team: Team) -> Team:
    return await factories.team(Role.AGENT, team.app_id)


@pytest.fixture
async def line(team: Team) -> Line:
    return await inbox.line(team)


async def mention(line: Line, conversation_id: UUID, who: Team) -> None:
    async with transaction() as session:
        await sending.note(session, line.agent, conversation_id, Draft("Secret plan", mentioned_ids=[who.user_id]))
    await dispatched()


async def wants(who: Team, **email: EmailMode) -> None:
    async with transaction() as session:
        for type_, mode in email.items():
            await preferences.set_preference(session, factories.principal(who), NotificationType(type_), email=mode)


async def looks() -> None:
    """Two clocks at once."""
    await asyncio.gather(clock.mail_notifications(), clock.mail_notifications())


def body(mail: Mail) -> str:
    return decrypt(mail.body or "", f"mails.body:{mail.id}")


async def test_what_is_unread_after_two_minutes_goes_in_one_mail(agent: Team, line: Line) -> None:
    said = await line.says()
    with time_machine.travel(now(), tick=True) as time:
        await mention(line, said.conversation_id, agent)
        await mention(line, said.conversation_id, agent)
        async with transaction() as session:
            await assignment.assign(session, line.agent, said.conversation_id, agent.user_id)
        await dispatched()
        await looks()
        assert await mails(agent.email) == []
        time.shift(SOON)
        await looks()
        (mail,) = await mails(agent.email)
        assert mail.subject == "ReplyHQ: 2 notifications in Acme"
        assert "- You were mentioned 2 times beside the conversation with User 0\n" in body(mail)
        assert "- The conversation with User 0 was given to you\n" in body(mail)
        assert "Secret plan" not in body(mail)
        await looks()
        assert len(await mails(agent.email)) == 1


async def test_what_is_read_meanwhile_is_not_mailed(agent: Team, line: Line) -> None:
    said = await line.says()
    with time_machine.travel(now(), tick=True) as time:
        await mention(line, said.conversation_id, agent)
        async with transaction() as session:
            await reads.mark_read(session, factories.principal(agent), said.conversation_id)
        time.shift(SOON)
        await looks()
        assert await mails(agent.email) == []
        async with transaction() as session:
            left = sa.select(sa.func.count()).where(NotificationMailing.user_id == agent.user_id)
            assert await session.scalar(left) == 0


async def test_who_no_longer_wants_it_by_mail_gets_none(agent: Team, line: Line) -> None:
    said = await line.says()
    with time_machine.travel(now(), tick=True) as time:
        await mention(line, said.conversation_id, agent)
        await wants(agent, MENTION=EmailMode.OFF)
        time.shift(SOON)
        await looks()
    assert await mails(agent.email) == []


async def test_the_same_thing_is_mailed_again_after_an_hour_and_others_at_once(agent: Team, line: Line) -> None:
    said = await line.says()
    other = await (await inbox.line(line.team)).says()
    with time_machine.travel(now(), tick=True) as time:
        await mention(line, said.conversation_id, agent)
        time.shift(SOON)
        await looks()
        await mention(line, said.conversation_id, agent)
        time.shift(SOON)
        await looks()
        assert len(await mails(agent.email)) == 1
        await mention(line, other.conversation_id, agent)
        time.shift(SOON)
        await looks()
        assert len(await mails(agent.email)) == 1, "the next look at this person is when the hour is over"
        time.shift(mailing.AGAIN)
        await looks()
        assert await subjects(agent.email) == [
            "ReplyHQ: 1 notification in Acme",
            "ReplyHQ: 2 notifications in Acme",
        ]


async def test_a_digest_comes_once_a_period_however_long_the_clock_was_away(agent: Team, line: Line) -> None:
    said = await line.says()
    await wants(agent, MENTION=EmailMode.DIGEST, UNASSIGNED_MESSAGE=EmailMode.DIGEST)
    with time_machine.travel(NINE, tick=True) as time:
        await mention(line, said.conversation_id, agent)
        time.shift(timedelta(hours=22))
        await looks()
        assert await mails(agent.email) == []
        time.shift(timedelta(hours=2))
        await looks()
        assert len(await mails(agent.email)) == 1
        await looks()
        time.shift(timedelta(days=1))
        await looks()
        assert len(await mails(agent.email)) == 1, "it was told already"
        await line.says()
        await dispatched()
        time.shift(timedelta(days=5))
        await looks()
        await looks()
        assert len(await mails(agent.email)) == 2


async def test_a_digest_follows_who_changes_its_time(agent: Team, line: Line) -> None:
    said = await line.says()
    await wants(agent, MENTION=EmailMode.DIGEST)
    with time_machine.travel(NINE, tick=True) as time:
        await mention(line, said.conversation_id, agent)
        async with transaction() as session:
            await preferences.set_digest(session, factories.principal(agent), period=DigestPeriod.HOURLY)
        time.shift(timedelta(hours=1))
        await looks()
    assert len(await mails(agent.email)) == 1


async def test_what_is_told_while_the_mail_is_written_is_mailed_later(
    agent: Team, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at what is unread, and saying that nothing is due any more."""
    said = await line.says()
    other = await (await inbox.line(line.team)).says()
    plan_anew = mailing._plan_anew

    async def late(*arguments: object) -> None:
        await mention(line, other.conversation_id, agent)
        await plan_anew(*arguments)

    with time_machine.travel(now(), tick=True) as time:
        await mention(line, said.conversation_id, agent)
        time.shift(SOON)
        monkeypatch.setattr(mailing, "_plan_anew", late)
        await clock.mail_notifications()
        monkeypatch.undo()
        time.shift(SOON)
        await looks()
    assert await subjects(agent.email) == ["ReplyHQ: 1 notification in Acme"] * 2


@given(
    st.timedeltas(timedelta(days=-3_000), timedelta(days=3_000)),
    st.integers(0, 23),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia"]),
    st.sampled_from(DigestPeriod),
)
def test_the_next_digest_is_later_and_at_most_a_period_away(
    since: timedelta, hour: int, zone: str, period: DigestPeriod
) -> None:
    at = NINE + since
    due = Digest(period, hour, zone).after(at)
    longest = timedelta(hours=1) if period is DigestPeriod.HOURLY else timedelta(days=1, hours=1)
    assert timedelta() < due - at <= longest


async def waiting(team: Team) -> int:
    async with transaction() as session:
        unserved = sa.select(sa.func.count()).where(Fact.app_id == team.app_id, Fact.dispatched_at.is_(None))
        return await session.scalar(unserved) or 0


@pytest.mark.long
async def test_a_worker_killed_again_and_again_loses_nothing_and_tells_nothing_twice(team: Team, agent: Team) -> None:
    """600 messages in 30 conversations; the worker is killed while it tells them."""
    lines = [await inbox.line(team) for _ in range(30)]
    worker, ticking = processes.worker(), processes.clock()
    ticking.start()
    worker.start()
    try:
        for turn in range(20):
            await asyncio.gather(*(line.says(f"Said {turn}", str(new_id())) for line in lines))
            if turn % 5 == 4:
                worker.kill()
                worker.start()
        await until(lambda: waiting(team), lambda count: count == 0, seconds=60)
    finally:
        worker.stop()
        ticking.stop()
    for who in (team, agent):
        assert await told(who) == [("UNASSIGNED_MESSAGE", 20, True)] * 30
        assert len({row.entity_id for row in await rows(who.app_id, who.user_id)}) == 30
