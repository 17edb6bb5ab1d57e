"""From an audience to rows: every recipient is written, then cut into chunks, before anything is sent.

It goes in slices. The cursor is committed with its slice, so after a crash anywhere the next worker goes on there.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.config import config
from domain import facts
from domain.broadcasts import audience, rollups, turns, variants
from domain.broadcasts.due import WAKE_AGAIN, give_out
from domain.broadcasts.queries import record, topic
from domain.broadcasts.starting import NOTHING_TO_SEND
from domain.principals import SYSTEM
from models.broadcasts import (
    TALLY_SHARDS,
    Broadcast,
    BroadcastChunk,
    BroadcastRecipient,
    BroadcastStatus,
    BroadcastTally,
    Dimension,
    Measure,
    RecipientStatus,
)
from models.contacts import Contact
from models.devices import Device
from models.facts import FactKind

SLICE = 10_000
_ZONE = Contact.time_zone.label("time_zone")
_COLUMNS = [
    "broadcast_id",
    "seq",
    "device_id",
    "contact_id",
    "platform",
    "country",
    "time_zone",
    "variant",
    "status",
]
_COUNTED_BY = (BroadcastRecipient.platform, BroadcastRecipient.country)


async def expand_slice(session: AsyncSession, broadcast_id: UUID) -> bool:
    """Write the next slice of recipients; returns whether there is more to do.

    The row lock makes it one worker at a time; another that comes meanwhile finds nothing to do.
    """
    mine = sa.select(Broadcast).where(
        Broadcast.id == broadcast_id, Broadcast.status == BroadcastStatus.SENDING, Broadcast.expanded_at.is_(None)
    )
    broadcast = await session.scalar(mine.with_for_update(skip_locked=True, key_share=True))
    if broadcast is None:
        return False
    people = await _next_contacts(session, broadcast)
    if people:
        await _write_rows(session, broadcast, people)
        broadcast.after_contact_id = people[-1]
    broadcast.due_at = now() + WAKE_AGAIN
    if len(people) < SLICE:
        await _close(session, broadcast)
    facts.tick(session, topic(broadcast_id))
    return len(people) == SLICE


async def _next_contacts(session: AsyncSession, broadcast: Broadcast) -> list[UUID]:
    """The next contacts of the audience."""
    await audience.plan(session, broadcast)
    after = sa.true() if broadcast.after_contact_id is None else Contact.id > broadcast.after_contact_id
    meant = audience.contacts(broadcast, broadcast.sent_at or now())
    return list(await session.scalars(sa.select(Contact.id).where(meant, after).order_by(Contact.id).limit(SLICE)))


async def _write_rows(session: AsyncSession, broadcast: Broadcast, people: list[UUID]) -> None:
    """Their devices and mailboxes as recipient rows, in one statement; counted by what one wants to see them by."""
    rows = _rows(broadcast, people).subquery()
    last = sa.select(sa.func.coalesce(sa.func.max(BroadcastRecipient.seq), 0))
    last_seq = await session.scalar(last.where(BroadcastRecipient.broadcast_id == broadcast.id)) or 0
    numbered = sa.select(
        sa.literal(broadcast.id),
        sa.func.row_number().over(order_by=(rows.c.contact_id, rows.c.device_id)) + last_seq,
        *rows.c,
        variants.chosen(broadcast, rows.c.contact_id),
        sa.literal(RecipientStatus.PENDING.value),
    )
    insertion = insert(BroadcastRecipient).from_select(_COLUMNS, numbered, include_defaults=False)
    made = insertion.returning(*_COUNTED_BY).cte("made")
    grouped = sa.select(*made.c, sa.func.count()).group_by(*made.c)
    found = (await session.execute(grouped)).all()
    broadcast.total_recipients += sum(row[-1] for row in found)
    await rollups.add(session, _counts(broadcast, found))


def _rows(broadcast: Broadcast, people: list[UUID]) -> sa.Select[Any]:
    """A row for each device and mailbox of some contacts that has none yet."""
    these = Contact.id == sa.any_(sa.cast(people, sa.ARRAY(sa.UUID)))
    country = sa.func.coalesce(Device.country, Contact.country)
    by_device = (
        sa.select(Device.id.label("device_id"), Contact.id.label("contact_id"), Device.platform, country, _ZONE)
        .join(Contact, Contact.id == Device.contact_id)
        .where(these, audience.reaches(broadcast.channels))
    )
    by_mail = sa.select(sa.null(), Contact.id, sa.null(), Contact.country, _ZONE).where(
        these, audience.has_mailbox(broadcast.channels)
    )
    both = sa.union_all(by_device, by_mail).subquery()
    same = sa.and_(
        BroadcastRecipient.broadcast_id == broadcast.id,
        BroadcastRecipient.contact_id == both.c.contact_id,
        BroadcastRecipient.device_id.is_not_distinct_from(both.c.device_id),
    )
    fresh = sa.select(both)
    return fresh.where(~sa.exists().where(same)) if broadcast.total_recipients else fresh


def _counts(broadcast: Broadcast, found: Sequence[Any]) -> rollups.Counts:
    """Recipients by platform, by country, and in all. Not by variant: some get theirs only as they are sent to."""
    counts: rollups.Counts = Counter()
    for platform, country, count in found:
        buckets = {Dimension.ALL: "", Dimension.PLATFORM: platform and platform.value, Dimension.COUNTRY: country}
        for dimension, bucket in buckets.items():
            place = rollups.place(broadcast.id, 0, Measure.RECIPIENTS, dimension, variant=None, bucket=bucket)
            counts[place] += count
    return counts


async def _close(session: AsyncSession, broadcast: Broadcast) -> None:
    """All recipients are written: cut those without a chunk into chunks, or fail when there are none."""
    broadcast.expanded_at, broadcast.due_at = now(), None
    if broadcast.total_recipients == 0:
        broadcast.status, broadcast.completed_at = BroadcastStatus.FAILED, now()
        broadcast.error_message = NOTHING_TO_SEND
        record(session, SYSTEM, FactKind.BROADCAST_FAILED, broadcast)
        return
    await _cut(session, broadcast)
    shards = [{"broadcast_id": broadcast.id, "shard": shard} for shard in range(TALLY_SHARDS)]
    await session.execute(insert(BroadcastTally).on_conflict_do_nothing(), shards)
    if broadcast.test_share < 100 and broadcast.winner is None:
        broadcast.winner_due_at = now() + timedelta(minutes=broadcast.winner_after_minutes)
    await turns.advance(session, broadcast.id)


async def _cut(session: AsyncSession, broadcast: Broadcast) -> None:
    """Chunks for the recipients behind the last chunk."""
    cut = sa.select(
        sa.func.coalesce(sa.func.max(BroadcastChunk.no), 0), sa.func.coalesce(sa.func.max(BroadcastChunk.hi_seq), 0)
    )
    no_before, seq_before = (await session.execute(cut.where(BroadcastChunk.broadcast_id == broadcast.id))).one()
    size, total = config().chunk_size, broadcast.total_recipients
    chunks = [
        {"broadcast_id": broadcast.id, "no": no, "lo_seq": lo, "hi_seq": min(lo + size - 1, total)}
        for no, lo in enumerate(range(seq_before + 1, total + 1, size), start=no_before + 1)
    ]
    if chunks:
        await session.execute(insert(BroadcastChunk), chunks)


async def due(session: AsyncSession, limit: int = 100) -> list[UUID]:
    """Broadcasts whose expansion waits to be woken; each is given out once in five seconds."""
    return list(await session.scalars(give_out(Broadcast, limit=limit).returning(Broadcast.id)))
