"""What is deleted once it has been kept for long enough."""

from datetime import timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from models.base import Model
from models.executions import WorkflowExecution, WorkflowWait
from models.facts import Fact
from models.frequency_marks import FrequencyMark
from models.idempotency import IdempotencyKey
from models.in_app_messages import InAppMessage
from models.mails import Mail
from models.notifications import Notification
from models.sessions import UserSession
from models.streams import StreamEvent
from models.webhooks import Webhook, WebhookEvent
from models.workflow_enrolments import WorkflowEnrolment
from models.workflow_signals import WorkflowSignal

AT_ONCE = 1_000
EXECUTION_DAYS = 365


class Rule(NamedTuple):
    """Rows of `model` for which `condition` holds go when `since` is longer ago than `kept`; an index covers both."""

    model: type[Model]
    since: sa.SQLColumnExpression[Any]
    kept: timedelta
    condition: sa.ColumnElement[bool] = sa.true()


RULES = (
    Rule(Fact, Fact.created_at, timedelta(days=30), Fact.dispatched_at.is_not(None)),
    Rule(FrequencyMark, FrequencyMark.expires_at, timedelta()),
    Rule(IdempotencyKey, IdempotencyKey.created_at, timedelta(hours=24)),
    Rule(Mail, Mail.created_at, timedelta(days=30)),
    Rule(StreamEvent, StreamEvent.created_at, timedelta(days=7)),
    Rule(InAppMessage, InAppMessage.created_at, timedelta(days=90)),
    Rule(
        WorkflowExecution,
        WorkflowExecution.ended_at,
        timedelta(days=EXECUTION_DAYS),
        # the row of who may come in once only is what keeps them out
        sa.and_(WorkflowExecution.ended_at.is_not(None), WorkflowExecution.entry_key.is_(None)),
    ),
    Rule(WorkflowWait, WorkflowWait.expires_at, timedelta(), WorkflowWait.step_id.is_(None)),
    Rule(WorkflowSignal, WorkflowSignal.created_at, timedelta(days=30), WorkflowSignal.due_at.is_(None)),
    Rule(WebhookEvent, WebhookEvent.created_at, timedelta(days=30)),  # and with it its deliveries and their tries
    Rule(Webhook, Webhook.deleted_at, timedelta(days=31), Webhook.deleted_at.is_not(None)),
    Rule(Notification, Notification.last_at, timedelta(days=90)),
    Rule(WorkflowEnrolment, WorkflowEnrolment.ended_at, timedelta(days=90), WorkflowEnrolment.ended_at.is_not(None)),
    Rule(UserSession, sa.func.least(UserSession.revoked_at, UserSession.expires_at), timedelta(days=30)),
)


async def purge(session: AsyncSession) -> None:
    """Delete what is too old, the oldest first, at most a thousand rows of each table."""
    for rule in RULES:
        await _delete(session, rule)


async def _delete(session: AsyncSession, rule: Rule) -> None:
    """By the primary key, so that the index that finds the rows is used whatever the planner believes."""
    key = rule.model.__mapper__.primary_key
    old = sa.select(*key).where(rule.condition, rule.since < now() - rule.kept).order_by(rule.since).limit(AT_ONCE)
    found = [tuple(row) for row in await session.execute(old.with_for_update(skip_locked=True))]
    if found:
        gone = sa.delete(rule.model).where(sa.tuple_(*key).in_(found))
        await session.execute(gone.execution_options(synchronize_session=False))
