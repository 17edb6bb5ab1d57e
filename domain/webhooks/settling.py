"""Writing down what came of tries: of the deliveries, and of the endpoints they went to."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.ids import new_id
from core.json import encode
from domain import facts
from domain.principals import SYSTEM
from domain.webhook_events.writing import told_of
from domain.webhooks import pace, standing
from domain.webhooks.claiming import Parcel
from models.facts import FactKind
from models.webhooks import DeliveryFailure, DeliveryStatus, Webhook, WebhookStop

_COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "ids": sa.UUID(as_uuid=True),
    "numbers": sa.Integer(),
    "attempt_ids": sa.UUID(as_uuid=True),
    "sent": sa.TIMESTAMP(timezone=True),
    "statuses": sa.Text(),
    "due": sa.TIMESTAMP(timezone=True),
    "codes": sa.Integer(),
    "failures": sa.Text(),
    "urls": sa.Text(),
    "requests": sa.Text(),
    "times": sa.Integer(),
    "responses": sa.Text(),
    "bodies": sa.Text(),
}
# Locked in one order, whoever else changes some of them. Only who has claimed a delivery last may say what came of it.
_SETTLE = sa.text("""
    WITH said AS (
      SELECT * FROM unnest(:ids, :numbers, :attempt_ids, :sent, :statuses, :due, :codes, :failures, :urls, :requests,
        :times, :responses, :bodies) AS one (id, number, attempt_id, sent_at, status, due_at, status_code, failure,
        url, request, milliseconds, response, body)
    ), mine AS (
      SELECT d.id FROM webhook_deliveries d JOIN said ON said.id = d.id AND said.number = d.attempt_count
      WHERE d.lease_until IS NOT NULL ORDER BY d.id FOR UPDATE OF d
    ), settled AS (
      UPDATE webhook_deliveries d SET lease_until = NULL, due_at = said.due_at, status = said.status,
        status_code = said.status_code, failure = said.failure,
        delivered_at = CASE WHEN said.status = 'DELIVERED' THEN :now END
      FROM said JOIN mine USING (id) WHERE d.id = said.id
      RETURNING d.id, d.app_id
    )
    INSERT INTO webhook_attempts (id, created_at, app_id, delivery_id, number, url, request_headers, status_code,
      failure, milliseconds, response_headers, response_body)
    SELECT attempt_id, sent_at, settled.app_id, id, number, url, request::jsonb, status_code, failure, milliseconds,
      response::jsonb, body
    FROM said JOIN settled USING (id)
    RETURNING delivery_id
""").bindparams(
    *(sa.bindparam(name, type_=sa.ARRAY(kind)) for name, kind in _COLUMNS.items()),
    sa.bindparam("now", type_=sa.TIMESTAMP(timezone=True)),
)


@dataclass(frozen=True)
class Tried:
    """What came of a try.

    Attributes:
        failure: None when the receiver has taken it.
        wait: seconds that the receiver asks to wait, by Retry-After.
        busy: whether it asks so for all that is sent to it: 429 and 503.
        request_headers, response_headers, response_body: with secrets masked, and cut.
    """

    parcel: Parcel
    at: datetime
    milliseconds: int
    status_code: int | None = None
    failure: DeliveryFailure | None = None
    wait: float | None = None
    busy: bool = False
    request_headers: Mapping[str, str] = field(default_factory=dict)
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_body: str | None = None


async def settle(session: AsyncSession, tried: Sequence[Tried]) -> None:
    """Write it all, in one statement; then endpoints are opened, paused or stopped. May be repeated."""
    at = now()
    rows = [_row(one, at) for one in tried]
    values = dict(zip(_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    written = set(await session.scalars(_SETTLE, values | {"now": at}))
    counted = [one for one in tried if one.parcel.id in written]
    told_of(session, [(one.parcel.webhook_id, one.parcel.id) for one in counted])
    await _judge(session, [one for one in counted if not one.parcel.is_test], at)


def _row(one: Tried, at: datetime) -> tuple[Any, ...]:
    status, due_at = _following(one, at)
    return (
        *(one.parcel.id, one.parcel.number, new_id(), one.at, status.value, due_at, one.status_code),
        *(one.failure.value if one.failure else None, one.parcel.url, encode(one.request_headers).decode()),
        *(one.milliseconds, encode(one.response_headers).decode(), one.response_body),
    )


def _following(one: Tried, at: datetime) -> tuple[DeliveryStatus, datetime | None]:
    """What becomes of the delivery, and when it is tried again."""
    if one.failure is None:
        return DeliveryStatus.DELIVERED, None
    wait = None if one.parcel.is_test or _is_gone(one) else pace.wait(one.parcel.tries, one.wait)
    return (DeliveryStatus.PENDING, at + wait) if wait is not None else (DeliveryStatus.FAILED, None)


def _is_gone(one: Tried) -> bool:
    return one.failure is DeliveryFailure.GONE


async def _judge(session: AsyncSession, tried: Sequence[Tried], at: datetime) -> None:
    """One that has taken anything works; the others are looked at one by one, in the order of their ids."""
    by_webhook: dict[UUID, list[Tried]] = defaultdict(list)
    for one in tried:
        by_webhook[one.parcel.webhook_id].append(one)
    if working := [id_ for id_, of in by_webhook.items() if any(one.failure is None for one in of)]:
        shaky = sa.and_(Webhook.id.in_(working), Webhook.failing_since.is_not(None))
        locked = sa.select(Webhook.id).where(shaky).order_by(Webhook.id).with_for_update(key_share=True)
        # what the receiver has asked for stands, whatever was on its way meanwhile
        pause = sa.case((Webhook.failures >= pace.OPENS_AFTER, None), else_=Webhook.paused_until)
        values = {"failures": 0, "failing_since": None, "paused_until": pause}
        works = sa.update(Webhook).where(Webhook.id.in_(locked.scalar_subquery())).values(values)
        await session.execute(works.execution_options(synchronize_session=False))
    if doubtful := {id_: of for id_, of in by_webhook.items() if any(one.failure for one in of)}:
        rows = sa.select(Webhook).where(Webhook.id.in_(doubtful)).order_by(Webhook.id)
        fresh = rows.with_for_update(key_share=True).execution_options(populate_existing=True)
        for row in await session.scalars(fresh):
            _count(row, doubtful[row.id], at)
            if why := _stop(row, doubtful[row.id], at):
                standing.stop(row, why, at)
                facts.record(session, SYSTEM, FactKind.WEBHOOK_DISABLED, row, reason=why.value)


def _count(row: Webhook, tried: Sequence[Tried], at: datetime) -> None:
    """Failures count while nothing has been taken beside them; what was on its way when the breaker opened does not."""
    pauses = [timedelta(seconds=one.wait or 0.0) for one in tried if one.busy]
    if all(one.failure for one in tried):
        row.failing_since = row.failing_since or min(one.at for one in tried)
        is_resting = row.paused_until is not None and row.paused_until > at
        if row.failures < pace.OPENS_AFTER:
            row.failures = min(row.failures + len(tried), pace.OPENS_AFTER)
            pauses.append(pace.pause(row.failures) or timedelta())
        elif not is_resting:
            row.failures += 1
            pauses.append(pace.pause(row.failures) or timedelta())
    if longest := max(pauses, default=timedelta()):
        row.paused_until = max(row.paused_until or at, at + longest)


def _stop(row: Webhook, tried: Sequence[Tried], at: datetime) -> WebhookStop | None:
    """Why nothing more should be sent to it; None when it should, or nothing is as it is."""
    if row.disabled_reason or row.deleted_at:
        return None
    if any(_is_gone(one) for one in tried):
        return WebhookStop.GONE
    since = row.failing_since
    if since and at - since >= pace.FAILING_MOST and row.failures >= pace.FAILING_TRIES:
        return WebhookStop.FAILING
    return None
