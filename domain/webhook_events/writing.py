"""Keeping what webhooks are told in the transaction in which it happens: either both are there, or neither.

It is done as the transaction ends. Without a webhook that wants to know it costs one look at an index.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.broker import wake
from core.clock import now
from core.database import before_commit, on_commit
from core.ids import new_id
from domain.ticks import tick
from domain.webhook_events.payloads import Told
from domain.webhook_events.vocabulary import EVENTS, Envelope, body, told_kind
from models.base import Record
from models.conversations import Conversation
from models.facts import Fact
from models.messages import Message
from models.webhooks import Webhook, WebhookEventType

DELIVERER = "deliver_webhooks"
TOLD_AT_ONCE = 100
"""So many deliveries are named in one tick."""
_WAITING = "webhook_events"
_NUMBERS = sa.text("SELECT nextval('webhook_event_sequence') FROM generate_series(1, :count)")
_EVENTS: dict[str, sa.types.TypeEngine[Any]] = {
    "event_ids": sa.UUID(as_uuid=True),
    "event_apps": sa.UUID(as_uuid=True),
    "event_types": sa.Text(),
    "event_entities": sa.UUID(as_uuid=True),
    "event_sequences": sa.BigInteger(),
    "event_bodies": sa.Text(),
    "event_times": sa.TIMESTAMP(timezone=True),
}
_DELIVERIES: dict[str, sa.types.TypeEngine[Any]] = {
    "ids": sa.UUID(as_uuid=True),
    "webhooks": sa.UUID(as_uuid=True),
    "events": sa.UUID(as_uuid=True),
}
_INSERT = sa.text("""
    WITH told AS (
      INSERT INTO webhook_events (id, app_id, event_type, entity_id, sequence, body, created_at)
      SELECT * FROM unnest(
        :event_ids, :event_apps, :event_types, :event_entities, :event_sequences, :event_bodies, :event_times)
      RETURNING id, app_id, event_type, created_at
    )
    INSERT INTO webhook_deliveries (id, app_id, webhook_id, event_id, event_type, is_test, due_at, created_at)
    SELECT one.id, told.app_id, one.webhook_id, told.id, told.event_type, :is_test, told.created_at, told.created_at
    FROM unnest(:ids, :webhooks, :events) AS one (id, webhook_id, event_id) JOIN told ON told.id = one.event_id
""").bindparams(
    *(sa.bindparam(name, type_=sa.ARRAY(kind)) for name, kind in (_EVENTS | _DELIVERIES).items()),
    sa.bindparam("is_test", type_=sa.Boolean()),
)


@dataclass(frozen=True)
class Happened:
    """What may be told: to one thing, whose row is at hand, or else is read as the transaction ends."""

    event_type: WebhookEventType
    app_id: UUID
    entity_id: UUID
    actor: str
    at: datetime
    row: Record | None = None
    data: dict[str, Any] = field(default_factory=dict)
    fact: Fact | None = None


@dataclass(frozen=True)
class Addressed:
    """What is told, and to which webhooks."""

    happened: Happened
    webhook_ids: Sequence[UUID]


def topic(webhook_id: UUID) -> str:
    """Where those who watch the deliveries of a webhook listen."""
    return f"webhook_deliveries:{webhook_id}"


def tell(session: AsyncSession, fact: Fact, rows: Sequence[Record]) -> None:
    """Have a fact, which is new in the session, told when the transaction ends: of each of `rows`. Tests are not."""
    event_type = told_kind(fact.kind)
    if event_type is None:
        return
    at, shown = now(), (row for row in rows if not getattr(row, "is_test", False))
    happened = (Happened(event_type, fact.app_id, row.id, fact.actor, at, row, fact.data, fact) for row in shown)
    _wait(session, happened)


def tell_all(session: AsyncSession, kind: str, app_id: UUID, actor: str, ids: Sequence[UUID]) -> None:
    """Have it told of many things at once that `kind` happened to them; their rows are read as the transaction ends."""
    event_type = told_kind(kind)
    if event_type is not None:
        at = now()
        _wait(session, (Happened(event_type, app_id, id_, actor, at) for id_ in ids))


def _wait(session: AsyncSession, happened: Iterable[Happened]) -> None:
    waiting = session.info.get(_WAITING)
    if waiting is None:
        waiting = session.info[_WAITING] = []
        before_commit(session, _write)
    waiting.extend(happened)


async def _write(session: AsyncSession) -> None:
    """What a savepoint has taken back is not in the session any more."""
    waiting: list[Happened] = session.info.pop(_WAITING)
    kept = [one for one in waiting if one.fact is None or one.fact in session]
    addressed = await _addressed(session, kept) if kept else []
    if addressed:
        rows = await _rows(session, [one.happened for one in addressed])
        contact_ids = await _contact_ids(session, rows.values())
        there = [one for one in addressed if one.happened.entity_id in rows]
        told = [Told(rows[one.happened.entity_id], one.happened.data, contact_ids) for one in there]
        await insert(session, there, told)


async def _addressed(session: AsyncSession, happened: Sequence[Happened]) -> list[Addressed]:
    """Who wants to know what: the one look that every transaction takes."""
    on = sa.and_(Webhook.disabled_reason.is_(None), Webhook.deleted_at.is_(None))
    of = Webhook.app_id.in_({one.app_id for one in happened})
    wanted: dict[tuple[UUID, str], list[UUID]] = defaultdict(list)
    for id_, app_id, event_types in await session.execute(
        sa.select(Webhook.id, Webhook.app_id, Webhook.event_types).where(of, on).order_by(Webhook.id)
    ):
        for event_type in event_types:
            wanted[app_id, event_type].append(id_)
    asked = (Addressed(one, wanted.get((one.app_id, one.event_type.value), ())) for one in happened)
    return [one for one in asked if one.webhook_ids]


async def _rows(session: AsyncSession, happened: Sequence[Happened]) -> dict[UUID, Any]:
    """The things by their ids, as they are now."""
    found: dict[UUID, Any] = {}
    missing: dict[type[Any], list[UUID]] = defaultdict(list)
    for one in happened:
        if one.row is None:
            missing[EVENTS[one.event_type].row].append(one.entity_id)
            continue
        found[one.entity_id] = one.row
        if expired := _expired(one.row):
            await session.refresh(one.row, expired)
    for kind, ids in missing.items():
        found |= {row.id: row for row in await session.scalars(sa.select(kind).where(kind.id.in_(ids)))}
    return found


def _expired(row: Record) -> list[str]:
    """What the database has made anew and nobody has read since; without what is only read when asked for."""
    state: Any = sa.inspect(row)
    deferred = {one.key for one in state.mapper.column_attrs if one.deferred}
    return sorted(state.expired_attributes - deferred) if state.persistent else []


async def _contact_ids(session: AsyncSession, rows: Iterable[Any]) -> Mapping[UUID, UUID]:
    """Whose the conversations are that messages stand in."""
    ids = {row.conversation_id for row in rows if isinstance(row, Message)}
    if not ids:
        return {}
    of = sa.select(Conversation.id, Conversation.contact_id).where(Conversation.id.in_(ids))
    return {row.id: row.contact_id for row in await session.execute(of)}


async def insert(
    session: AsyncSession, addressed: Sequence[Addressed], told: Sequence[Told], *, is_test: bool = False
) -> list[UUID]:
    """Keep events with their payloads, and a delivery of each to its webhooks, in one statement; ids of deliveries."""
    numbers = list(await session.scalars(_NUMBERS, {"count": len(addressed)}))
    events, deliveries = [], []
    for to, what, number in zip(addressed, told, numbers, strict=True):
        one, id_ = to.happened, new_id()
        envelope = Envelope(id_, one.event_type, one.app_id, one.at, number, one.actor, is_test)
        shown = body(envelope, what)
        events.append((id_, one.app_id, one.event_type.value, one.entity_id, number, shown, one.at))
        deliveries += [(new_id(), webhook_id, id_) for webhook_id in to.webhook_ids]
    values = _columns(_EVENTS, events) | _columns(_DELIVERIES, deliveries) | {"is_test": is_test}
    await session.execute(_INSERT, values)
    told_of(session, [(webhook_id, id_) for id_, webhook_id, _ in deliveries])
    on_commit(session, lambda: wake(DELIVERER))
    return [id_ for id_, _, _ in deliveries]


def _columns(names: Iterable[str], rows: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def told_of(session: AsyncSession, deliveries: Iterable[tuple[UUID, UUID]]) -> None:
    """Let those who watch look again at deliveries, given with their webhooks first."""
    by_webhook: dict[UUID, list[str]] = defaultdict(list)
    for webhook_id, id_ in deliveries:
        by_webhook[webhook_id].append(str(id_))
    for webhook_id, ids in by_webhook.items():
        for start in range(0, len(ids), TOLD_AT_ONCE):
            tick(session, topic(webhook_id), ids=ids[start : start + TOLD_AT_ONCE])
