"""From an audience to rows: every recipient is written, then cut into chunks, before anything is sent.

It goes in slices. The cursor is committed with its slice, so after a crash anywhere the next worker goes on there.
"""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.config import config
from domain import facts
from domain.broadcasts import audience, turns
from domain.broadcasts.control import NOTHING_TO_SEND
from domain.broadcasts.due import WAKE_AGAIN, give_out
from domain.broadcasts.queries import topic
from models.broadcasts import (
    TALLY_SHARDS,
    Broadcast,
    BroadcastChunk,
    BroadcastRecipient,
    BroadcastStatus,
    BroadcastTally,
)
from models.devices import Device
from models.facts import FactKind

SLICE = 10_000


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
    written = await _write_slice(session, broadcast)
    broadcast.due_at = now() + WAKE_AGAIN
    if written < SLICE:
        await _close(session, broadcast)
    facts.tick(session, topic(broadcast_id))
    return written == SLICE


async def _write_slice(session: AsyncSession, broadcast: Broadcast) -> int:
    """The next devices after the cursor as recipient rows, in one statement. Moves the cursor and the total."""
    after = sa.true() if broadcast.cursor is None else Device.id > broadcast.cursor
    part = audience.devices(broadcast).where(after).order_by(Device.id).limit(SLICE).subquery()
    numbered = sa.select(
        sa.literal(broadcast.id),
        sa.func.row_number().over(order_by=part.c.id) + broadcast.total_recipients,
        part.c.id,
        part.c.contact_id,
        part.c.platform,
        part.c.country,
        part.c.time_zone,
        sa.literal("PENDING"),
    )
    columns = ["broadcast_id", "seq", "device_id", "contact_id", "platform", "country", "time_zone", "status"]
    rows = insert(BroadcastRecipient).from_select(columns, numbered, include_defaults=False)
    written = list(await session.scalars(rows.returning(BroadcastRecipient.device_id)))
    if written:
        broadcast.cursor = max(written)
    broadcast.total_recipients += len(written)
    return len(written)


async def _close(session: AsyncSession, broadcast: Broadcast) -> None:
    """All recipients are written: cut them into chunks, or fail when there are none."""
    broadcast.expanded_at, broadcast.due_at = now(), None
    if broadcast.total_recipients == 0:
        broadcast.status, broadcast.completed_at = BroadcastStatus.FAILED, now()
        broadcast.error_message = NOTHING_TO_SEND
        facts.record(session, broadcast.app_id, FactKind.BROADCAST_FAILED, broadcast.id)
        return
    size, total = config().chunk_size, broadcast.total_recipients
    chunks = [
        {"broadcast_id": broadcast.id, "no": no, "lo_seq": lo, "hi_seq": min(lo + size - 1, total)}
        for no, lo in enumerate(range(1, total + 1, size), start=1)
    ]
    await session.execute(insert(BroadcastChunk), chunks)
    shards = [{"broadcast_id": broadcast.id, "shard": shard} for shard in range(TALLY_SHARDS)]
    await session.execute(insert(BroadcastTally), shards)
    await turns.advance(session, broadcast.id)


async def due(session: AsyncSession, limit: int = 100) -> list[UUID]:
    """Broadcasts whose expansion waits to be woken; each is given out once in five seconds."""
    return list(await session.scalars(give_out(Broadcast, limit=limit).returning(Broadcast.id)))
