"""In-app messages: stored once for each send, kept until the device has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
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


async def store(session: AsyncSession, app_id: UUID, drafts: Sequence[Draft]) -> set[UUID]:
    """Write the messages that are not there yet and call their devices; returns the devices that exist.

    A device's row is locked while it gets the next sequence number, so numbers are in the order of commits.
    """
    fresh = await _unwritten(session, drafts)
    wanted = {draft.device_id for draft in drafts}
    locked = sa.select(Device).where(Device.app_id == app_id, Device.id.in_(wanted)).order_by(Device.id)
    existing = {device.id: device for device in await session.scalars(locked.with_for_update(key_share=True))}
    rows = []
    for draft in fresh:
        if device := existing.get(draft.device_id):
            device.message_sequence += 1
            rows.append(_row(app_id, draft, device.message_sequence))
            facts.tick(session, topic(device.id))
    if rows:
        await session.execute(insert(InAppMessage), rows)
    return set(existing)


async def _unwritten(session: AsyncSession, drafts: Sequence[Draft]) -> list[Draft]:
    ids = {message_id(draft.key): draft for draft in drafts}
    written = set(await session.scalars(sa.select(InAppMessage.id).where(InAppMessage.id.in_(ids))))
    return [draft for id_, draft in ids.items() if id_ not in written]


def _row(app_id: UUID, draft: Draft, sequence: int) -> dict[str, Any]:
    return {
        "id": message_id(draft.key),
        "app_id": app_id,
        "device_id": draft.device_id,
        "sequence": sequence,
        "key": draft.key,
        "title": draft.title,
        "body": draft.body,
        "data": draft.data,
        "created_at": now(),
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
    rows = await session.scalars(own.order_by(InAppMessage.sequence).with_for_update())
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
