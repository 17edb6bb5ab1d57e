"""In-app messages: stored once for each send, kept until the device has them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain import facts
from models.devices import Device
from models.in_app_messages import InAppMessage

_NAMESPACE = UUID("6f2b6a1e-4c0f-5d0a-9a57-1f1c5b1f7c11")


class ReceiptKind(StrEnum):
    """What a device did with a message. Each includes those before it."""

    DELIVERED = "DELIVERED"
    OPENED = "OPENED"
    CLICKED = "CLICKED"


@dataclass(frozen=True)
class Draft:
    """A message to be stored.

    Attributes:
        key: identity of the send, the same when it is tried again.
    """

    key: str
    device_id: UUID
    title: str
    body: str
    data: dict[str, Any] | None


@dataclass(frozen=True)
class Advance:
    """A message that a report moved forward.

    Attributes:
        kinds: the steps that are new, e.g. DELIVERED and OPENED for a message opened before it was reported delivered.
    """

    key: str
    kinds: tuple[ReceiptKind, ...]
    at: datetime


def message_id(key: str) -> UUID:
    """The id of the message that the send `key` makes."""
    return uuid5(_NAMESPACE, key)


def topic(device_id: UUID) -> str:
    """Where a device's subscription listens."""
    return f"device:{device_id}"


_STORE = sa.text(
    """
    WITH wanted AS (
        SELECT * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:keys AS text[]), CAST(:devices AS uuid[]),
            CAST(:titles AS text[]), CAST(:bodies AS text[]), CAST(:data AS jsonb[])
        ) AS w(id, key, device_id, title, body, data)
    ), fresh AS (
        SELECT w.*, row_number() OVER (PARTITION BY w.device_id ORDER BY w.key) AS no
        FROM wanted w
        WHERE w.device_id = ANY(CAST(:existing AS uuid[]))
          AND NOT EXISTS (SELECT 1 FROM in_app_messages m WHERE m.id = w.id)
    ), numbered AS (
        UPDATE devices d SET message_sequence = d.message_sequence + f.count
        FROM (SELECT device_id, count(*) AS count FROM fresh GROUP BY device_id) f
        WHERE d.id = f.device_id
        RETURNING d.id, d.message_sequence - f.count AS base
    )
    INSERT INTO in_app_messages (id, app_id, device_id, sequence, key, title, body, data, created_at)
    SELECT f.id, :app_id, f.device_id, n.base + f.no, f.key, f.title, f.body, f.data, :at
    FROM fresh f JOIN numbered n ON n.id = f.device_id
    """
)


async def store(session: AsyncSession, app_id: UUID, drafts: Sequence[Draft]) -> set[UUID]:
    """Write the messages that are not there yet and call their devices; returns the devices that exist.

    The devices are locked first, in order, and while they get their next sequence numbers: so a message is written
    once, and the numbers of a device are in the order of commits.
    """
    existing = await _lock_devices(session, app_id, {draft.device_id for draft in drafts})
    await session.execute(_STORE, _columns(drafts) | {"existing": existing, "app_id": app_id, "at": now()})
    for device_id in existing:
        facts.tick(session, topic(device_id))
    return set(existing)


async def _lock_devices(session: AsyncSession, app_id: UUID, wanted: set[UUID]) -> list[UUID]:
    rows = sa.select(Device.id).where(Device.app_id == app_id, Device.id.in_(wanted)).order_by(Device.id)
    return list(await session.scalars(rows.with_for_update(key_share=True)))


def _columns(drafts: Sequence[Draft]) -> dict[str, Any]:
    """The drafts column by column, as `unnest` takes them."""
    return {
        "ids": [message_id(draft.key) for draft in drafts],
        "keys": [draft.key for draft in drafts],
        "devices": [draft.device_id for draft in drafts],
        "titles": [draft.title for draft in drafts],
        "bodies": [draft.body for draft in drafts],
        "data": [None if draft.data is None else json.dumps(draft.data) for draft in drafts],
    }


async def pending(session: AsyncSession, device_id: UUID, *, after: int, limit: int = 100) -> Sequence[InAppMessage]:
    """The next messages for a device, in order: those numbered above `after` that it has not reported as delivered."""
    waiting = sa.select(InAppMessage).where(
        InAppMessage.device_id == device_id, InAppMessage.delivered_at.is_(None), InAppMessage.sequence > after
    )
    return (await session.scalars(waiting.order_by(InAppMessage.sequence).limit(limit))).all()


async def mark(session: AsyncSession, device_id: UUID, reports: dict[UUID, ReceiptKind], at: datetime) -> list[Advance]:
    """Note what a device did with its own messages; returns what is new. Reports about other messages are ignored."""
    own = sa.select(InAppMessage).where(InAppMessage.device_id == device_id, InAppMessage.id.in_(reports))
    rows = await session.scalars(own.order_by(InAppMessage.sequence).with_for_update(key_share=True))
    return [advance for row in rows if (advance := _advance(row, reports[row.id], at)).kinds]


def _advance(row: InAppMessage, reached: ReceiptKind, at: datetime) -> Advance:
    """Fill the times up to `reached` that are still empty."""
    steps = list(ReceiptKind)[: list(ReceiptKind).index(reached) + 1]
    new = tuple(step for step in steps if getattr(row, _column(step)) is None)
    for step in new:
        setattr(row, _column(step), at)
    return Advance(row.key, new, at)


def _column(kind: ReceiptKind) -> str:
    return f"{kind.value.lower()}_at"
