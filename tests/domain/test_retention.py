"""How long things are kept, to the microsecond."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine

from core.clock import now
from core.database import transaction
from core.ids import new_id
from domain import retention
from models.base import Model
from models.channels import ChannelKind
from models.executions import ExecutionStatus, WorkflowExecution, WorkflowWait
from models.facts import Fact, FactKind
from models.frequency_marks import FrequencyMark
from models.idempotency import IdempotencyKey
from models.in_app_messages import InAppMessage
from models.mails import Mail, MailStatus
from models.notifications import Notification, NotificationType
from models.sessions import UserSession
from models.streams import Stream, StreamEvent
from models.webhooks import Webhook, WebhookDelivery, WebhookEvent
from models.workflow_enrolments import WorkflowEnrolment
from models.workflow_signals import WorkflowSignal
from models.workflows import TriggerKind
from tests.support import factories
from tests.support.factories import Team
from tests.support.plans import explained

DAY = timedelta(days=1)
NEVER = datetime.fromisoformat("2100-01-01T00:00:00+00:00")
# long ago, so that what other tests make is never old
TODAY = datetime.fromisoformat("2020-06-01T12:00:00+00:00")


async def fact(team: Team, at: datetime, **fields: Any) -> Model:
    given = {"dispatched_at": at} | fields
    return Fact(
        app_id=team.app_id, kind=FactKind.BROADCAST_STARTED, entity_id=new_id(), actor="system", created_at=at, **given
    )


async def undispatched(team: Team, at: datetime) -> Model:
    return await fact(team, at, dispatched_at=None)


async def mail(team: Team, at: datetime) -> Model:
    return Mail(app_id=team.app_id, recipient=team.email, subject="-", status=MailStatus.SENT, created_at=at)


async def key(team: Team, at: datetime) -> Model:
    return IdempotencyKey(app_id=team.app_id, key=str(new_id()), request_hash="-", entity_id=new_id(), created_at=at)


async def mark(team: Team, at: datetime) -> Model:
    person = await factories.person(team.app_id)
    fields = {"app_id": team.app_id, "contact_id": person.id, "channel": ChannelKind.PUSH}
    return FrequencyMark(key=str(new_id()), at=at - DAY, expires_at=at, **fields)


async def event(team: Team, at: datetime) -> Model:
    stream = Stream(app_id=team.app_id, name=str(new_id()), head=1)
    async with transaction() as session:
        session.add(stream)
    made = {"app_id": team.app_id, "kind": FactKind.BROADCAST_STARTED, "entity_id": new_id(), "actor": "system"}
    return StreamEvent(stream_id=stream.id, seq=1, data={}, created_at=at, **made)


async def message(team: Team, at: datetime) -> Model:
    (device_id,) = await factories.contacts(team.app_id, 1)
    fields = {"app_id": team.app_id, "device_id": device_id, "sequence": 1, "key": "k", "title": "t", "body": "b"}
    return InAppMessage(**fields, created_at=at)


async def told(team: Team, at: datetime) -> Model:
    of = {"app_id": team.app_id, "event_type": "contact.created", "entity_id": new_id()}
    return WebhookEvent(sequence=1, body="{}", created_at=at, **of)


async def deleted_webhook(team: Team, at: datetime) -> Model:
    return Webhook(app_id=team.app_id, url=factories.HOOKS_URL, event_types=[], deleted_at=at)


async def notification(team: Team, at: datetime) -> Model:
    about = {"type": NotificationType.BROADCAST_SENT, "entity_id": new_id(), "actor": "system"}
    return Notification(app_id=team.app_id, user_id=team.user_id, last_at=at, **about)


async def expired(team: Team, at: datetime, revoked_at: datetime | None = None) -> Model:
    return UserSession(
        app_id=team.app_id,
        user_id=team.user_id,
        refresh_hash=str(new_id()),
        ip="-",
        user_agent="-",
        last_active_at=at,
        expires_at=at,
        revoked_at=revoked_at,
    )


async def revoked(team: Team, at: datetime) -> Model:
    return await expired(team, NEVER, revoked_at=at)


async def execution(team: Team, at: datetime, **fields: Any) -> Model:
    workflow, person = await factories.workflow(team), await factories.person(team.app_id)
    of = {"app_id": team.app_id, "workflow_id": workflow.id, "workflow_version_id": workflow.active_version_id}
    ended = {"status": ExecutionStatus.COMPLETED, "open_steps": 0, "ended_at": at, "trigger_key": str(new_id())}
    return WorkflowExecution(contact_id=person.id, **of | ended | fields)


async def goal(team: Team, at: datetime) -> Model:
    row = await execution(team, NEVER, status=ExecutionStatus.RUNNING)
    async with transaction() as session:
        session.add(row)
    of = {"app_id": team.app_id, "contact_id": row.contact_id, "execution_id": row.id}
    return WorkflowWait(event_name="bought", expires_at=at, **of)


async def given_up(team: Team, at: datetime) -> Model:
    person = await factories.person(team.app_id)
    of = {"app_id": team.app_id, "contact_id": person.id, "kind": TriggerKind.EVENT, "keys": ["bought"]}
    return WorkflowSignal(created_at=at, due_at=sa.null(), **of)


async def enrolment(team: Team, at: datetime) -> Model:
    workflow = await factories.workflow(team, factories.MANUAL)
    of = {"app_id": team.app_id, "workflow_id": workflow.id, "workflow_version_id": workflow.active_version_id}
    return WorkflowEnrolment(key=str(new_id()), audience="EVERYBODY", status="COMPLETED", ended_at=at, **of)


async def is_kept(row: Model) -> bool:
    async with transaction() as session:
        return await session.get(type(row), sa.inspect(row).identity) is not None


async def purge() -> None:
    async with transaction() as session:
        await retention.purge(session)


@pytest.mark.parametrize(
    ("make", "kept"),
    [
        (fact, 30 * DAY),
        (mail, 30 * DAY),
        (event, 7 * DAY),
        (key, DAY),
        (message, 90 * DAY),
        (notification, 90 * DAY),
        (expired, 30 * DAY),
        (revoked, 30 * DAY),
        (mark, 0 * DAY),
        (execution, 365 * DAY),
        (goal, 0 * DAY),
        (told, 30 * DAY),
        (deleted_webhook, 31 * DAY),
        (enrolment, 90 * DAY),
        (given_up, 30 * DAY),
    ],
)
async def test_a_row_goes_when_it_is_older_than_it_is_kept(team: Team, make: Callable, kept: timedelta) -> None:
    row = await make(team, TODAY - kept)
    async with transaction() as session:
        session.add(row)
    with time_machine.travel(TODAY, tick=False):
        await purge()
    assert await is_kept(row)
    with time_machine.travel(TODAY + timedelta(microseconds=1), tick=False):
        await purge()
    assert not await is_kept(row)


async def test_what_a_webhook_was_told_goes_with_its_deliveries_and_their_tries(team: Team) -> None:
    webhook, _ = await factories.webhook(team)
    row = await factories.webhook_delivery(team, webhook.id)
    async with transaction() as session:
        old = sa.update(WebhookEvent).where(WebhookEvent.id == row.event_id)
        await session.execute(old.values(created_at=TODAY - 31 * DAY))
    with time_machine.travel(TODAY, tick=False):
        await purge()
    async with transaction() as session:
        assert await session.get(WebhookDelivery, row.id) is None
    assert await is_kept(webhook)


async def test_a_fact_that_waits_for_its_followers_stays(team: Team) -> None:
    row = await undispatched(team, TODAY - 400 * DAY)
    async with transaction() as session:
        session.add(row)
    with time_machine.travel(TODAY, tick=False):
        await purge()
    assert await is_kept(row)
    async with transaction() as session:
        await session.execute(sa.update(Fact).filter_by(id=row.id).values(dispatched_at=now()))


async def test_an_execution_that_keeps_its_contact_out_for_ever_stays(team: Team) -> None:
    row = await execution(team, TODAY - 400 * DAY, entry_key="once:somebody")
    async with transaction() as session:
        session.add(row)
    with time_machine.travel(TODAY, tick=False):
        await purge()
    assert await is_kept(row)


async def test_it_goes_a_bounded_number_at_a_time_the_oldest_first(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    rows = [await key(team, TODAY - age * DAY) for age in (2, 4, 3)]
    async with transaction() as session:
        session.add_all(rows)
    with time_machine.travel(TODAY, tick=False):
        await purge()
        assert [await is_kept(row) for row in rows] == [True, False, False]
        await purge()
    assert not await is_kept(rows[0])


async def test_an_index_finds_what_is_old(team: Team) -> None:
    for rule in retention.RULES:
        old = sa.select(rule.model).where(rule.condition, rule.since < TODAY).order_by(rule.since).limit(1)
        plan = await explained(old)
        assert "Index Scan" in plan
        assert "Sort" not in plan
