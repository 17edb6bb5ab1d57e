"""Variants of a broadcast: who gets which, and which one wins.

Who gets which follows from the ids of the broadcast and the contact alone, so it is the same whenever it is asked: all
devices of a contact get the same. Where a test goes out first, the rest waits for the winner.
"""

from itertools import accumulate
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain.broadcasts.queries import told
from domain.principals import SYSTEM
from models.broadcasts import Broadcast, BroadcastRollup, BroadcastStatus, Dimension, Measure
from models.facts import FactKind

PARTS = 10_000
_IS_TESTED, _WHICH = 1, 2


def chosen(broadcast: Broadcast, contact_id: sa.ColumnElement[UUID]) -> sa.ColumnElement[int | None]:
    """The variant of a contact, in SQL; NULL where there is none, or where they wait for the winner."""
    if not broadcast.variants:
        return sa.cast(sa.null(), sa.SmallInteger)
    ends = list(accumulate(variant["weight"] for variant in broadcast.variants))
    drawn = _draw(broadcast, contact_id, _WHICH, ends[-1])
    which = sa.case(*((drawn < end, no) for no, end in enumerate(ends)))
    tested = _draw(broadcast, contact_id, _IS_TESTED, PARTS) < broadcast.test_share * PARTS // 100
    return sa.cast(sa.case((tested, which)), sa.SmallInteger)


def _draw(broadcast: Broadcast, contact_id: sa.ColumnElement[UUID], seed: int, parts: int) -> sa.ColumnElement[int]:
    """A number from 0 up to `parts`, evenly spread over the contacts; each seed draws by itself."""
    text = sa.literal(f"{broadcast.id}:") + sa.cast(contact_id, sa.Text)
    positive = sa.func.hashtextextended(text, seed).bitwise_and(2**63 - 1)
    return positive % parts


async def decide_due(session: AsyncSession, limit: int = 100) -> None:
    """Decide the tests whose time has come. Safe in any number of clocks at once."""
    waiting = sa.and_(Broadcast.status == BroadcastStatus.SENDING, Broadcast.winner.is_(None))
    due = sa.select(Broadcast).where(waiting, Broadcast.winner_due_at <= now()).limit(limit)
    for broadcast in await session.scalars(due.with_for_update(skip_locked=True, key_share=True)):
        broadcast.winner = await _winner(session, broadcast)
        told(session, broadcast, FactKind.BROADCAST_DECIDED, SYSTEM)


async def _winner(session: AsyncSession, broadcast: Broadcast) -> int:
    """The variant with the best rate among those to whom it was delivered; of equal ones the first."""
    measure = Measure(broadcast.winner_metric.value)
    counts = (
        sa.select(BroadcastRollup.variant, BroadcastRollup.measure, sa.func.sum(BroadcastRollup.count))
        .where(
            BroadcastRollup.broadcast_id == broadcast.id,
            BroadcastRollup.dimension == Dimension.ALL,
            BroadcastRollup.measure.in_([measure, Measure.DELIVERED]),
        )
        .group_by(BroadcastRollup.variant, BroadcastRollup.measure)
    )
    found = {(variant, kind): count for variant, kind, count in await session.execute(counts)}

    def rate(variant: int) -> float:
        delivered = found.get((variant, Measure.DELIVERED), 0)
        return found.get((variant, measure), 0) / delivered if delivered else 0.0

    return max(range(len(broadcast.variants)), key=lambda variant: (rate(variant), -variant))
