"""What devices report about broadcasts: recipients move forward, the counts follow in the same transaction.

Reports of many devices come together (see `core.batcher`), so the statements do not grow with their number.
"""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.batcher import Batcher
from core.clock import now
from core.database import transaction
from domain import facts, in_app_messages
from domain.broadcasts.queries import topic
from domain.in_app_messages import Advance, ReceiptKind, Report
from models.broadcasts import TALLY_SHARDS, BroadcastRecipient, BroadcastTally, RecipientStatus

_KEY = re.compile(r"b([0-9a-f-]{36}):(\d+)")
_ORDER = list(RecipientStatus)
Place = tuple[UUID, int]


async def report(session: AsyncSession, reports: Sequence[Report], at: datetime) -> list[Advance]:
    """Take the reports of devices about their messages; returns those that told something new."""
    advances = await in_app_messages.mark(session, reports, at)
    placed = {(UUID(match[1]), int(match[2])): one for one in advances if (match := _KEY.fullmatch(one.key))}
    if placed:
        await _advance(session, placed)
        await _count(session, placed)
    for broadcast_id in {broadcast_id for broadcast_id, _ in placed}:
        facts.tick(session, topic(broadcast_id))
    return advances


async def _advance(session: AsyncSession, placed: dict[Place, Advance]) -> None:
    """Fill the new times of the recipients and raise their status, locked in their order as the sender does."""
    places = sa.func.unnest(
        sa.cast([broadcast_id for broadcast_id, _ in placed], sa.ARRAY(sa.UUID)),
        sa.cast([seq for _, seq in placed], sa.ARRAY(sa.Integer)),
    ).table_valued(sa.column("broadcast_id", sa.UUID), sa.column("seq", sa.Integer))
    place = places.render_derived(name="place")
    same = sa.and_(BroadcastRecipient.broadcast_id == place.c.broadcast_id, BroadcastRecipient.seq == place.c.seq)
    rows = sa.select(BroadcastRecipient).join(place, same)
    ordered = rows.order_by(BroadcastRecipient.broadcast_id, BroadcastRecipient.seq)
    for recipient in await session.scalars(ordered.with_for_update(key_share=True, of=BroadcastRecipient)):
        _move(recipient, placed[recipient.broadcast_id, recipient.seq])
    await session.flush()


def _move(recipient: BroadcastRecipient, advance: Advance) -> None:
    for kind in advance.kinds:
        setattr(recipient, f"{kind.value.lower()}_at", advance.at)
    reached = RecipientStatus(advance.kinds[-1].value)
    if _ORDER.index(reached) > _ORDER.index(recipient.status):
        recipient.status = reached


async def _count(session: AsyncSession, placed: dict[Place, Advance]) -> None:
    """Add to the tallies, one row a broadcast: the shard of its first recipient here. In order, so nobody deadlocks."""
    firsts: dict[UUID, int] = {}
    counts: Counter[tuple[UUID, ReceiptKind]] = Counter()
    for (broadcast_id, seq), advance in sorted(placed.items(), key=lambda one: one[0]):
        firsts.setdefault(broadcast_id, seq)
        counts.update((broadcast_id, kind) for kind in advance.kinds)
    for broadcast_id, seq in firsts.items():
        this = sa.and_(BroadcastTally.broadcast_id == broadcast_id, BroadcastTally.shard == seq % TALLY_SHARDS)
        values = {
            column: getattr(BroadcastTally, column) + counts[broadcast_id, kind]
            for kind in ReceiptKind
            if counts[broadcast_id, kind] and (column := kind.value.lower())
        }
        await session.execute(sa.update(BroadcastTally).where(this).values(values))


async def _report_all(asked: list[list[Report]]) -> list[int]:
    async with transaction() as session:
        advances = await report(session, [one for reports in asked for one in reports], now())
    new = {advance.report for advance in advances}
    return [len(new.intersection(reports)) for reports in asked]


reported = Batcher(_report_all, largest=2_000, weigh=len)
"""Takes a device's reports: `await reported.ask([...])` says how many told something new."""
