"""What devices report about a broadcast: the recipient moves forward, the counts follow in the same transaction."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from domain import facts, in_app_messages
from domain.broadcasts.expansion import TALLY_SHARDS
from domain.broadcasts.queries import topic
from domain.in_app_messages import Advance, ReceiptKind
from models.broadcasts import BroadcastRecipient, BroadcastTally, RecipientStatus

_KEY = re.compile(r"b([0-9a-f-]{36}):(\d+)")
_ORDER = list(RecipientStatus)


async def report(session: AsyncSession, device_id: UUID, reports: dict[UUID, ReceiptKind], at: datetime) -> int:
    """Take a device's reports about its messages; returns how many told something new."""
    advances = await in_app_messages.mark(session, device_id, reports, at)
    ours = [(match, advance) for advance in advances if (match := _KEY.fullmatch(advance.key))]
    for broadcast_id, seq, advance in sorted(((UUID(m[1]), int(m[2]), a) for m, a in ours), key=lambda one: one[:2]):
        await _advance(session, broadcast_id, seq, advance)
    return len(advances)


async def _advance(session: AsyncSession, broadcast_id: UUID, seq: int, advance: Advance) -> None:
    """Fill the new times of one recipient, raise its status, count. Called in the order of broadcasts: no deadlock."""
    recipient = await session.get(BroadcastRecipient, (broadcast_id, seq), with_for_update=True)
    if recipient is None:
        return
    for kind in advance.kinds:
        setattr(recipient, f"{kind.value.lower()}_at", advance.at)
    reached = RecipientStatus(advance.kinds[-1].value)
    if _ORDER.index(reached) > _ORDER.index(recipient.status):
        recipient.status = reached
    await _count(session, broadcast_id, seq, advance.kinds)
    facts.tick(session, topic(broadcast_id))


async def _count(session: AsyncSession, broadcast_id: UUID, seq: int, kinds: Sequence[ReceiptKind]) -> None:
    by_column = Counter(kind.value.lower() for kind in kinds)
    this = sa.and_(BroadcastTally.broadcast_id == broadcast_id, BroadcastTally.shard == seq % TALLY_SHARDS)
    values = {name: getattr(BroadcastTally, name) + count for name, count in by_column.items()}
    await session.execute(sa.update(BroadcastTally).where(this).values(values))
