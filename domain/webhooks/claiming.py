"""Taking what is due: of each endpoint so much as it may have at once, so that none keeps the others waiting.

A claim holds for the time of a try and a lease. A worker that dies leaves the delivery to the next, who sends it again
under the same id.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.config import config
from core.errors import Unavailable
from domain.webhook_events.vocabulary import message_id
from domain.webhook_events.writing import DELIVERER
from domain.webhooks import pace, standing
from models.webhooks import DeliveryFailure, DeliveryStatus, Webhook, WebhookDelivery, WebhookEvent

log = structlog.get_logger(__name__)
CLOSED_FOR = timedelta(minutes=1)
"""How long an endpoint waits whose secrets do not open."""
_ONE_AT_A_TIME = sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(DELIVERER, 0)))
# From endpoint to endpoint by the index of what is due, however much each has waiting.
_ROOM = """
    WITH RECURSIVE waiting (webhook_id) AS (
      (SELECT webhook_id FROM webhook_deliveries WHERE due_at IS NOT NULL ORDER BY webhook_id LIMIT 1)
      UNION ALL
      SELECT (SELECT d.webhook_id FROM webhook_deliveries d
              WHERE d.due_at IS NOT NULL AND d.webhook_id > waiting.webhook_id ORDER BY d.webhook_id LIMIT 1)
      FROM waiting WHERE waiting.webhook_id IS NOT NULL
    ), open AS (
      SELECT w.id, CASE WHEN w.failures >= :opens THEN 1 ELSE :at_once END - (
        SELECT count(*) FROM webhook_deliveries d
        WHERE d.webhook_id = w.id AND d.lease_until IS NOT NULL AND d.lease_until > :now) AS room
      FROM waiting JOIN webhooks w ON w.id = waiting.webhook_id
      WHERE w.disabled_reason IS NULL AND w.deleted_at IS NULL AND (w.paused_until IS NULL OR w.paused_until <= :now)
    ), due (id, turn) AS (
      SELECT d.id, d.turn FROM open CROSS JOIN LATERAL (
        SELECT d.id, row_number() OVER (ORDER BY d.due_at) AS turn FROM webhook_deliveries d
        WHERE d.webhook_id = open.id AND d.due_at <= :now ORDER BY d.due_at LIMIT greatest(open.room, 0)) d
      UNION
      SELECT d.id, 0 FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id
      WHERE d.is_test AND d.due_at <= :now AND w.deleted_at IS NULL
    )
"""
_TAKEN = sa.text(f"""{_ROOM}
    SELECT d.id FROM due JOIN webhook_deliveries d ON d.id = due.id ORDER BY due.turn LIMIT :most
    FOR UPDATE OF d SKIP LOCKED
""")  # noqa: S608 - nothing in it comes from outside
_ANY = sa.text(f"{_ROOM} SELECT EXISTS (SELECT FROM due)")  # noqa: S608 - the same


@dataclass(frozen=True)
class Parcel:
    """A delivery in hand, with all that sending it takes.

    Attributes:
        number: which try it is, by which the claim is known.
        tries: those since it was made or replayed, with this one.
        secrets: what it is signed with, the newest first.
    """

    id: UUID
    app_id: UUID
    webhook_id: UUID
    number: int
    tries: int
    is_test: bool
    message_id: str
    url: str
    body: bytes = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    secrets: Sequence[str] = field(repr=False)


def lease() -> timedelta:
    """How long a claim holds: no try takes longer than ten seconds, and what came of it has to be written."""
    return pace.TRY + timedelta(seconds=config().lease_seconds)


def _limits(most: int) -> dict[str, object]:
    return {"now": now(), "opens": pace.OPENS_AFTER, "at_once": pace.AT_ONCE, "most": most}


async def waiting(session: AsyncSession) -> bool:
    """Whether anything is due that may be sent now."""
    limits = _limits(1)
    del limits["most"]
    return bool(await session.scalar(_ANY, limits))


async def claim(session: AsyncSession, most: int) -> list[Parcel]:
    """Take what is due, `most` at most, endpoint by endpoint in turns."""
    await session.execute(_ONE_AT_A_TIME)
    ids = list(await session.scalars(_TAKEN, _limits(most)))
    if not ids:
        return []
    await _give_up(session, ids)
    until = now() + lease()
    values = {
        "attempt_count": WebhookDelivery.attempt_count + 1,
        "tries": WebhookDelivery.tries + 1,
        "due_at": until,
        "lease_until": until,
    }
    mine = sa.and_(WebhookDelivery.id.in_(ids), WebhookDelivery.due_at.is_not(None))
    taken = sa.update(WebhookDelivery).where(mine).values(values).returning(WebhookDelivery.id)
    await session.execute(taken.execution_options(synchronize_session=False))
    return await _parcels(session, mine)


async def _give_up(session: AsyncSession, ids: Sequence[UUID]) -> None:
    """Those whose worker died at every try: it may be they that it dies of."""
    died = sa.and_(WebhookDelivery.id.in_(ids), WebhookDelivery.tries >= pace.TRIES)
    values = {"status": DeliveryStatus.FAILED, "failure": DeliveryFailure.WORKER_DIED, "due_at": None}
    given_up = sa.update(WebhookDelivery).where(died).values(values | {"lease_until": None})
    await session.execute(given_up.execution_options(synchronize_session=False))


async def _parcels(session: AsyncSession, mine: sa.ColumnElement[bool]) -> list[Parcel]:
    of = sa.select(WebhookDelivery, WebhookEvent.body).join(WebhookEvent, WebhookEvent.id == WebhookDelivery.event_id)
    found = (await session.execute(of.where(mine))).all()
    webhook_ids = {row.webhook_id for row, _ in found}
    # one that is deleted at this moment has no secret to sign with any more
    there = sa.select(Webhook).where(Webhook.id.in_(webhook_ids), Webhook.deleted_at.is_(None))
    webhooks = {row.id: row for row in await session.scalars(there)}
    opened = {id_: _opened(row) for id_, row in webhooks.items()}
    closed = [id_ for id_, secrets in opened.items() if secrets is None]
    if closed:
        await _put_off(session, closed, [row.id for row, _ in found])
    return [
        _parcel(row, body, webhooks[row.webhook_id].url, secrets)
        for row, body in found
        if (secrets := opened.get(row.webhook_id)) is not None
    ]


_Opened = tuple[list[str], dict[str, str]]


def _opened(row: Webhook) -> _Opened | None:
    """Its secrets and headers; None when the key is not at hand."""
    try:
        return standing.secrets_of(row), standing.headers_of(row)
    except Unavailable as error:
        log.error("webhook does not open", webhook=str(row.id), reason=str(error))  # noqa: TRY400 - it is told
        return None


async def _put_off(session: AsyncSession, webhook_ids: Sequence[UUID], ids: Sequence[UUID]) -> None:
    """Nothing was tried: what waits goes on when the key is there."""
    later = now() + CLOSED_FOR
    back = sa.and_(WebhookDelivery.id.in_(ids), WebhookDelivery.webhook_id.in_(webhook_ids))
    values = {"due_at": later, "lease_until": None, "tries": WebhookDelivery.tries - 1}
    for change in (
        sa.update(WebhookDelivery).where(back).values(values),
        sa.update(Webhook).where(Webhook.id.in_(webhook_ids)).values(paused_until=later),
    ):
        await session.execute(change.execution_options(synchronize_session=False))


def _parcel(row: WebhookDelivery, body: str, url: str, opened: _Opened) -> Parcel:
    secrets, headers = opened
    return Parcel(
        id=row.id,
        app_id=row.app_id,
        webhook_id=row.webhook_id,
        number=row.attempt_count,
        tries=row.tries,
        is_test=row.is_test,
        message_id=message_id(row.event_id),
        url=url,
        body=body.encode(),
        headers=headers,
        secrets=secrets,
    )
