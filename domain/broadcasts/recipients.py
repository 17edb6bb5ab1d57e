"""Reading the recipients of a broadcast: all, or those of whom something is true."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Invalid
from domain import checks
from domain.broadcasts.options import VARIANTS_MOST
from domain.pages import Page, PageRequest, Runs, page
from models.broadcasts import Broadcast, BroadcastChunk, BroadcastRecipient, ChunkStatus, RecipientStatus
from models.devices import Platform

CODE_MOST = 100


@dataclass(frozen=True)
class Filter:
    """Which recipients are wanted; what is None does not matter.

    Attributes:
        code: why it is DEFERRED, UNCERTAIN, SKIPPED or FAILED, e.g. `UNREGISTERED`.
        country: two letters.
        variant: index of the variant.
    """

    status: RecipientStatus | None = None
    code: str | None = None
    platform: Platform | None = None
    country: str | None = None
    variant: int | None = None

    def told(self) -> dict[str, Any]:
        """What is asked for, without what does not matter, as the audit log keeps it of an export."""
        return {name: value for name, value in asdict(self).items() if value is not None}


EVERYBODY = Filter()
_WAITS = (RecipientStatus.PENDING, RecipientStatus.DEFERRED)
Ranges = Sequence[tuple[int, int]]
"""From which number to which recipients of a broadcast are on their way."""
_ON_ITS_WAY = sa.and_(BroadcastChunk.status == ChunkStatus.LEASED, BroadcastChunk.inflight_lo.is_not(None))
_HAVE_SOME: Mapping[RecipientStatus, sa.ColumnElement[bool]] = {
    RecipientStatus.FAILED: BroadcastChunk.failed > 0,
    RecipientStatus.SKIPPED: BroadcastChunk.skipped > 0,
    RecipientStatus.UNCERTAIN: BroadcastChunk.uncertain > 0,
    # Whoever is put off was looked at by an owner of the chunk, which is not through as long as there is one.
    RecipientStatus.DEFERRED: sa.and_(BroadcastChunk.status != ChunkStatus.DONE, BroadcastChunk.fence > 0),
    RecipientStatus.SENDING: _ON_ITS_WAY,
}
"""By a status that few have: the chunks among whose recipients some may have it."""


async def listed(
    session: AsyncSession, broadcast: Broadcast, request: PageRequest, wanted: Filter = EVERYBODY
) -> Page[BroadcastRecipient]:
    """The recipients of a broadcast that are wanted, in their order.

    Raises:
        Invalid: the code, the country or the variant cannot be.
    """
    walk = matching(broadcast.id, wanted)
    return await page(session, walk.rows, walk.of.seq, request, runs=walk.runs)


async def on_their_way(session: AsyncSession, broadcast_ids: Sequence[UUID]) -> Mapping[UUID, Ranges]:
    """What workers are handing over just now, by broadcast."""
    columns = (BroadcastChunk.broadcast_id, BroadcastChunk.inflight_lo, BroadcastChunk.inflight_hi)
    found: defaultdict[UUID, list[tuple[int, int]]] = defaultdict(list)
    rows = sa.select(*columns).where(BroadcastChunk.broadcast_id.in_(broadcast_ids), _ON_ITS_WAY)
    for broadcast_id, lo, hi in await session.execute(rows):
        if lo is not None and hi is not None:
            found[broadcast_id].append((lo, hi))
    return found


def standing(recipient: BroadcastRecipient, ranges: Ranges) -> RecipientStatus:
    """The status as it is shown: SENDING of one that waits no more and has no result yet."""
    is_sending = recipient.status in _WAITS and any(lo <= recipient.seq <= hi for lo, hi in ranges)
    return RecipientStatus.SENDING if is_sending else recipient.status


class Walk(NamedTuple):
    """A statement for recipients, in no order; the entity that it selects; and by which runs it finds them."""

    rows: sa.Select[BroadcastRecipient]
    of: type[BroadcastRecipient]
    runs: Runs | None


def matching(broadcast_id: UUID, wanted: Filter = EVERYBODY) -> Walk:
    """The recipients that are wanted.

    Of a status that few have only those chunks are read that have some: not a million rows for the three that failed.

    Raises:
        Invalid: as `listed`.
    """
    meant = sa.select(BroadcastRecipient).where(BroadcastRecipient.broadcast_id == broadcast_id, *_conditions(wanted))
    some = _HAVE_SOME.get(wanted.status) if wanted.status else None
    if some is None:
        return Walk(meant, BroadcastRecipient, None)
    is_sending = wanted.status is RecipientStatus.SENDING
    lo, hi = (BroadcastChunk.inflight_lo, BroadcastChunk.inflight_hi) if is_sending else _WHOLE
    within = BroadcastRecipient.seq.between(lo, hi)
    # OFFSET 0 keeps it chunk by chunk. Without, PostgreSQL reads all recipients at times.
    of = sa.orm.aliased(BroadcastRecipient, meant.where(within).correlate(BroadcastChunk).offset(0).lateral())
    rows = sa.select(of).select_from(BroadcastChunk).join(of, sa.true())
    chunks = sa.and_(BroadcastChunk.broadcast_id == broadcast_id, some)
    return Walk(rows.where(chunks), of, Runs(BroadcastChunk.no, BroadcastChunk.lo_seq, BroadcastChunk.hi_seq))


_WHOLE = (BroadcastChunk.lo_seq, BroadcastChunk.hi_seq)


def _conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    """The conditions of a filter.

    Raises:
        Invalid: the code, the country or the variant cannot be.
    """
    if wanted.variant is not None and not 0 <= wanted.variant < VARIANTS_MOST:
        raise Invalid(f"variant must be from 0 to {VARIANTS_MOST - 1}.", field="variant")
    is_sending = wanted.status is RecipientStatus.SENDING
    values = {
        BroadcastRecipient.status: None if is_sending else wanted.status,
        BroadcastRecipient.error_code: wanted.code and checks.text(wanted.code, "code", most=CODE_MOST),
        BroadcastRecipient.platform: wanted.platform,
        BroadcastRecipient.country: wanted.country and checks.country(wanted.country, "country"),
        BroadcastRecipient.variant: wanted.variant,
    }
    waits = [BroadcastRecipient.status.in_(_WAITS)] if is_sending else []
    return [column == value for column, value in values.items() if value is not None] + waits
