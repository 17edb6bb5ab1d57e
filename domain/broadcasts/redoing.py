"""Recipients that are tried again by an operator's word: those that failed, and those of whom nobody knows.

The word is left at the chunks, in one statement however many recipients there are; the next owner of each acts on it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.errors import Conflict
from domain.broadcasts import progress, rollups, turns
from domain.broadcasts.queries import get, get_in, told
from domain.principals import Principal
from models.broadcasts import (
    Broadcast,
    BroadcastChunk,
    BroadcastRecipient,
    BroadcastStatus,
    ChunkStatus,
    Dimension,
    Measure,
    RecipientStatus,
    Redo,
)
from models.facts import FactKind

_MEANT = {
    Redo.FAILED: RecipientStatus.FAILED,
    Redo.UNCERTAIN: RecipientStatus.UNCERTAIN,
    Redo.UNCERTAIN_AS_SENT: RecipientStatus.UNCERTAIN,
}
_STARTABLE = (BroadcastStatus.SENDING, BroadcastStatus.PAUSED, BroadcastStatus.SENT, BroadcastStatus.FAILED)


async def ask(session: AsyncSession, principal: Principal, broadcast_id: UUID, what: Redo) -> Broadcast:
    """Have the recipients that failed, or are uncertain, sent again; or the uncertain ones taken as sent.

    The chunks are locked before the broadcast, as workers do.

    Raises:
        NotFound, Conflict: no such broadcast, or it never started or was cancelled, or there is none of them.
    """
    await get(session, principal.app_id, broadcast_id)
    asked = await _tell_chunks(session, broadcast_id, what)
    broadcast = await get_in(session, principal.app_id, broadcast_id, *_STARTABLE, verb="retried")
    if not asked or (what is not Redo.FAILED and await _all_settled(session, broadcast)):
        raise Conflict(f"No recipient is {_MEANT[what].value}.", field="id")
    if broadcast.status is not BroadcastStatus.PAUSED:
        broadcast.status, broadcast.completed_at, broadcast.error_message = BroadcastStatus.SENDING, None, None
    told(session, broadcast, FactKind.BROADCAST_RETRIED, principal.author)
    await session.flush()
    await turns.advance(session, broadcast_id)
    return broadcast


async def _tell_chunks(session: AsyncSession, broadcast_id: UUID, what: Redo) -> bool:
    """Leave the word at the chunks that have such recipients; whether there are any. An owner goes on first."""
    count = BroadcastChunk.failed if what is Redo.FAILED else BroadcastChunk.uncertain
    some = sa.and_(BroadcastChunk.broadcast_id == broadcast_id, count > 0)
    locked = sa.select(BroadcastChunk.no).where(some).order_by(BroadcastChunk.no).with_for_update(key_share=True)
    numbers = (await session.scalars(locked)).all()
    is_owned = BroadcastChunk.status == ChunkStatus.LEASED
    word = sa.update(BroadcastChunk).where(some, BroadcastChunk.no.in_(numbers))
    values = {
        "redo": what,
        "status": sa.case((is_owned, BroadcastChunk.status), else_=ChunkStatus.READY),
        "due_at": sa.case((is_owned, BroadcastChunk.due_at), else_=None),
    }
    await session.execute(word.values(values).execution_options(synchronize_session=False))
    return bool(numbers)


async def _all_settled(session: AsyncSession, broadcast: Broadcast) -> bool:
    """Whether reports have told of all who were uncertain; their chunks count them still."""
    return (await progress.stats(session, [broadcast]))[0].total_uncertain == 0


async def redo(session: AsyncSession, chunk: BroadcastChunk) -> None:
    """Do what was asked with the recipients of a chunk that is held by this transaction.

    Of those that failed some may have been reported on since: they got it, and are not sent to again.
    """
    what, chunk.redo = chunk.redo, None
    if what is None:
        return
    meant = sa.and_(
        BroadcastRecipient.broadcast_id == chunk.broadcast_id,
        BroadcastRecipient.seq.between(chunk.lo_seq, chunk.hi_seq),
        BroadcastRecipient.status == _MEANT[what],
    )
    is_sent = sa.true() if what is Redo.UNCERTAIN_AS_SENT else BroadcastRecipient.delivered_at.is_not(None)
    columns = (BroadcastRecipient.error_code, BroadcastRecipient.variant, is_sent.label("is_sent"))
    before = sa.select(*columns).where(meant).order_by(BroadcastRecipient.seq).with_for_update(key_share=True)
    rows = (await session.execute(before)).all()
    update = sa.update(BroadcastRecipient).where(meant).values(_after(is_sent))
    await session.execute(update.execution_options(synchronize_session=False))
    await _count(session, chunk, what, rows)


def _after(is_sent: sa.ColumnElement[bool]) -> dict[str, Any]:
    """Who is sent to again waits anew; who counts as sent is as far as was reported."""
    reached = sa.case(
        (BroadcastRecipient.clicked_at.is_not(None), RecipientStatus.CLICKED),
        (BroadcastRecipient.opened_at.is_not(None), RecipientStatus.OPENED),
        (BroadcastRecipient.delivered_at.is_not(None), RecipientStatus.DELIVERED),
        else_=RecipientStatus.SENT,
    )
    status = sa.case((is_sent, reached), else_=RecipientStatus.PENDING)
    return {"status": status, "sent_at": sa.case((is_sent, now())), "error_code": None, "attempts": 0}


async def _count(session: AsyncSession, chunk: BroadcastChunk, what: Redo, rows: Sequence[Any]) -> None:
    """Take back what they were counted as, codes included; who counts as sent is counted so."""
    counts: rollups.Counts = Counter()
    id_, no = chunk.broadcast_id, chunk.no
    for code, variant, is_sent in rows:
        if what is Redo.FAILED:
            counts[rollups.place(id_, no, Measure.FAILED, Dimension.CODE, variant=variant, bucket=code)] -= 1
        if is_sent and variant is not None:
            counts[rollups.sent(id_, no, variant)] += 1
    if what is Redo.FAILED:
        chunk.failed -= len(rows)
    else:
        chunk.uncertain -= len(rows)
    chunk.sent += sum(row.is_sent for row in rows)
    await rollups.add(session, counts)
