"""In-app messages: stored once for each send, kept until the device has them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from core.batcher import Batcher
from core.clock import now
from core.database import transaction
from domain import facts
from models.devices import Device
from models.in_app_messages import InAppMessage

NEXT_MOST = 50
ROWS_MOST = 1_000
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
class Position:
    """How far a device has received: up to the message numbered `after`."""

    device_id: UUID
    after: int


@dataclass(frozen=True)
class Report:
    """What a device says it did with a message."""

    device_id: UUID
    message_id: UUID
    kind: ReceiptKind


@dataclass(frozen=True)
class Advance:
    """A message that a report moved forward.

    Attributes:
        kinds: the steps that are new, e.g. DELIVERED and OPENED for a message opened before it was reported delivered.
    """

    report: Report
    key: str
    kinds: tuple[ReceiptKind, ...]
    at: datetime


_ORDER = tuple(ReceiptKind)
_TIMES = (InAppMessage.delivered_at, InAppMessage.opened_at, InAppMessage.clicked_at)


def message_id(key: str) -> UUID:
    """The id of the message that the send `key` makes."""
    return uuid5(_NAMESPACE, key)


def topic(device_id: UUID) -> str:
    """Where a device's subscription listens."""
    return f"device:{device_id}"


_INSERT = sa.text(
    """
    INSERT INTO in_app_messages (id, app_id, device_id, sequence, key, title, body, data, created_at)
    SELECT id, :app_id, device_id, sequence, key, title, body, data, :at
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:devices AS uuid[]), CAST(:sequences AS bigint[]), CAST(:keys AS text[]),
        CAST(:titles AS text[]), CAST(:bodies AS text[]), CAST(:data AS jsonb[])
    ) AS w(id, device_id, sequence, key, title, body, data)
    """
)
_NUMBER = sa.text(
    """
    UPDATE devices d SET message_sequence = n.sequence
    FROM unnest(CAST(:ids AS uuid[]), CAST(:sequences AS bigint[])) AS n(id, sequence)
    WHERE d.id = n.id
    """
)


async def store(session: AsyncSession, app_id: UUID, drafts: Sequence[Draft]) -> set[UUID]:
    """Write the messages that are not there yet and call their devices; returns the devices that exist.

    The devices are locked first, in order, and while they get their next sequence numbers: so a message is written
    once, and the numbers of a device are in the order of commits.
    """
    sequences = await _lock_devices(session, app_id, {draft.device_id for draft in drafts})
    wanted = {message_id(draft.key): draft for draft in drafts if draft.device_id in sequences}
    for known in await session.scalars(_known(list(wanted))):
        del wanted[known]
    if wanted:
        numbered = _numbered(wanted.values(), sequences)
        await session.execute(_INSERT, _columns(wanted, numbered) | {"app_id": app_id, "at": now()})
        last = {draft.device_id: sequences[draft.device_id] for draft in wanted.values()}
        await session.execute(_NUMBER, {"ids": list(last), "sequences": list(last.values())})
    for device_id in sequences:
        facts.tick(session, topic(device_id))
    return set(sequences)


async def _lock_devices(session: AsyncSession, app_id: UUID, wanted: set[UUID]) -> dict[UUID, int]:
    """The last sequence number of each device that there is."""
    this = sa.and_(Device.app_id == app_id, Device.id == sa.any_(sa.cast(list(wanted), sa.ARRAY(sa.UUID))))
    rows = sa.select(Device.id, Device.message_sequence).where(this).order_by(Device.id)
    found = await session.execute(rows.with_for_update(key_share=True))
    return {row.id: row.message_sequence for row in found}


def _known(ids: list[UUID]) -> sa.Select[UUID]:
    return sa.select(InAppMessage.id).where(InAppMessage.id == sa.any_(sa.cast(ids, sa.ARRAY(sa.UUID))))


def _numbered(drafts: Iterable[Draft], sequences: dict[UUID, int]) -> list[int]:
    """The next number of its device for each draft, which `sequences` is moved to."""
    numbers = []
    for draft in drafts:
        sequences[draft.device_id] += 1
        numbers.append(sequences[draft.device_id])
    return numbers


def _columns(wanted: Mapping[UUID, Draft], numbered: list[int]) -> dict[str, Any]:
    """The drafts column by column, as `unnest` takes them."""
    drafts = wanted.values()
    return {
        "ids": list(wanted),
        "devices": [draft.device_id for draft in drafts],
        "sequences": numbered,
        "keys": [draft.key for draft in drafts],
        "titles": [draft.title for draft in drafts],
        "bodies": [draft.body for draft in drafts],
        "data": [None if draft.data is None else json.dumps(draft.data) for draft in drafts],
    }


async def pending(session: AsyncSession, asked: Sequence[Position]) -> list[list[InAppMessage]]:
    """For each position the next messages of its device that it has not reported as delivered, in order.

    50 of a device at most, and fewer when many ask, so that an answer holds some 1,000 rows; who got some asks again.
    """
    places = sa.func.unnest(
        sa.cast([one.device_id for one in asked], sa.ARRAY(sa.UUID)),
        sa.cast([one.after for one in asked], sa.ARRAY(sa.BigInteger)),
    ).table_valued(sa.column("device_id", sa.UUID), sa.column("after", sa.BigInteger), with_ordinality="no")
    place = places.render_derived(name="place")
    undelivered = sa.select(InAppMessage).where(
        InAppMessage.device_id == place.c.device_id,
        InAppMessage.delivered_at.is_(None),
        InAppMessage.sequence > place.c.after,
    )
    share = max(1, min(NEXT_MOST, ROWS_MOST // len(asked)))
    message = aliased(InAppMessage, undelivered.order_by(InAppMessage.sequence).limit(share).lateral())
    rows = sa.select(place.c.no, message).select_from(place).join(message, sa.true())
    found: list[list[InAppMessage]] = [[] for _ in asked]
    for no, row in await session.execute(rows.order_by(place.c.no, message.sequence)):
        found[no - 1].append(row)
    return found


async def mark(session: AsyncSession, reports: Sequence[Report], at: datetime) -> list[Advance]:
    """Note what devices did with their own messages; returns what is new. Reports about other messages are ignored.

    However many, they take four statements; the rows are locked in the order of their ids.
    """
    if not reports:
        return []
    wanted = {(report.message_id, report.device_id): report for report in _furthest(reports)}
    rows = await session.execute(
        sa.select(InAppMessage.id, InAppMessage.device_id, InAppMessage.key, *_TIMES)
        .where(InAppMessage.id == sa.any_(sa.cast([report.message_id for report in reports], sa.ARRAY(sa.UUID))))
        .order_by(InAppMessage.id)
        .with_for_update(key_share=True)
    )
    advances = [
        advance
        for id_, device_id, key, *times in rows
        if (report := wanted.get((id_, device_id))) and (advance := _advance(report, key, times, at)).kinds
    ]
    await _write(session, advances)
    return advances


def _furthest(reports: Sequence[Report]) -> list[Report]:
    """In the order of their kinds, so that of several about one message the furthest is the last."""
    return sorted(reports, key=lambda report: _ORDER.index(report.kind))


def _advance(report: Report, key: str, times: Sequence[datetime | None], at: datetime) -> Advance:
    """The steps up to the reported one that had no time yet."""
    reached = _ORDER.index(report.kind)
    new = tuple(kind for no, kind in enumerate(_ORDER) if no <= reached and times[no] is None)
    return Advance(report, key, new, at)


async def _write(session: AsyncSession, advances: Sequence[Advance]) -> None:
    """Fill the new times, a statement for each kind that occurs."""
    for kind, column in zip(_ORDER, _TIMES, strict=True):
        ids = [advance.report.message_id for advance in advances if kind in advance.kinds]
        if ids:
            this = InAppMessage.id == sa.any_(sa.cast(ids, sa.ARRAY(sa.UUID)))
            values = {column: advances[0].at}
            update = sa.update(InAppMessage).where(this).values(values)
            await session.execute(update.execution_options(synchronize_session=False))


async def _waiting_for(asked: list[Position]) -> list[list[InAppMessage]]:
    async with transaction(across_apps=True) as session:
        return await pending(session, asked)


waiting = Batcher(_waiting_for)
"""What waits for a device: `await waiting.ask(Position(...))`. Many devices are answered by one statement."""
