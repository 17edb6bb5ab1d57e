"""The counts of a broadcast, counted anew from its recipients: what differs, and the truth in its place.

Every count is kept in the transaction of what it counts, so nothing should ever differ. This proves it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import NotFound
from domain.broadcasts import rollups
from domain.broadcasts.rollups import NO_VARIANT, QUARTER, Counts
from models.broadcasts import (
    Broadcast,
    BroadcastChunk,
    BroadcastRecipient,
    BroadcastRollup,
    BroadcastTally,
    Dimension,
    Measure,
    RecipientStatus,
)

_TIMES = (Measure.DELIVERED, Measure.OPENED, Measure.CLICKED, Measure.CONVERTED)
_TALLIED = ("delivered", "opened", "clicked", "machine_opened", "converted")
_COUNTED = ("sent", *_TALLIED)
_EPOCH: sa.ColumnElement[Any] = sa.literal_column("timestamptz '2000-01-01 00:00:00+00'")


@dataclass(frozen=True)
class Difference:
    """A count that is not what the recipients say. `name`: e.g. `chunk 3 sent` or `rollup FAILED CODE UNREGISTERED`."""

    name: str
    kept: int
    true: int


@dataclass(frozen=True)
class _Counts:
    """All counts of a broadcast.

    Attributes:
        chunks: by number: sent, failed, skipped, uncertain.
        tallies: delivered, opened, clicked, opened by a machine, converted.
        rollups: as they are kept, in one shard.
        settled: uncertain ones of chunks that turned out to be sent; none among the true counts.
    """

    recipients: int
    chunks: Mapping[int, Sequence[int]]
    tallies: Sequence[int]
    rollups: Counts
    settled: int = 0

    def named(self) -> dict[str, int]:
        """By name, what both ways of counting must agree on. Chunks do not know which of theirs were settled."""
        found = {"recipients": self.recipients}
        for no, (sent, failed, skipped, uncertain) in self.chunks.items():
            found |= {f"chunk {no} sent or uncertain": sent + uncertain}
            found |= {f"chunk {no} failed": failed, f"chunk {no} skipped": skipped}
        found["sent"] = sum(sent for sent, *_ in self.chunks.values()) + self.settled
        found |= dict(zip(_TALLIED, self.tallies, strict=True))
        for place, count in self.rollups.items():
            variant = "" if place.variant == NO_VARIANT else f" of variant {place.variant}"
            found[f"rollup {place.measure} {place.dimension} {place.bucket or '-'}{variant}"] = count
        return found


async def recount(session: AsyncSession, broadcast_id: UUID, *, mend: bool = False) -> list[Difference]:
    """What differs of a broadcast whose recipients are all written, all as of one moment; nothing when they are not.

    With `mend` the truth is written. Who sends or reports waits meanwhile, so that nothing is counted twice.

    Args:
        session: a transaction of its own, in which nothing has been read yet.
        broadcast_id: of any app.
        mend: write the truth.

    Raises:
        NotFound: there is no such broadcast.
    """
    if mend:
        await _hold(session, broadcast_id)
    else:
        await session.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    await session.execute(sa.text("SET LOCAL statement_timeout = 0"))
    broadcast = await session.scalar(sa.select(Broadcast).where(Broadcast.id == broadcast_id))
    if broadcast is None:
        raise NotFound(f"There is no broadcast {broadcast_id}.", field="id")
    if broadcast.expanded_at is None:
        return []
    kept, true = await _kept(session, broadcast), await _true(session, broadcast)
    differences = _compared(kept.named(), true.named())
    if mend and differences:
        await _mend(session, broadcast, true)
    return differences


async def countable(session: AsyncSession) -> list[UUID]:
    """All broadcasts of all apps that have recipients, the oldest first."""
    some = sa.select(Broadcast.id).where(Broadcast.expanded_at.is_not(None), Broadcast.total_recipients > 0)
    return list(await session.scalars(some.order_by(Broadcast.id)))


async def _hold(session: AsyncSession, broadcast_id: UUID) -> None:
    """Lock what every writer of a count locks before it counts, in the order in which they do."""
    for table, key in ((BroadcastChunk, BroadcastChunk.no), (BroadcastTally, BroadcastTally.shard)):
        rows = sa.select(key).where(table.broadcast_id == broadcast_id).order_by(key)
        await session.execute(rows.with_for_update(key_share=True))


def _compared(kept: Mapping[str, int], true: Mapping[str, int]) -> list[Difference]:
    names = dict.fromkeys([*kept, *true])
    both = [Difference(name, kept.get(name, 0), true.get(name, 0)) for name in names]
    return [one for one in both if one.kept != one.true]


async def _kept(session: AsyncSession, broadcast: Broadcast) -> _Counts:
    of_chunks = (BroadcastChunk.sent, BroadcastChunk.failed, BroadcastChunk.skipped, BroadcastChunk.uncertain)
    chunks = sa.select(BroadcastChunk.no, *of_chunks).where(BroadcastChunk.broadcast_id == broadcast.id)
    sums = [sa.func.coalesce(sa.func.sum(getattr(BroadcastTally, name)), 0) for name in (*_TALLIED, "settled")]
    tallies = sa.select(*sums).where(BroadcastTally.broadcast_id == broadcast.id)
    key = (BroadcastRollup.measure, BroadcastRollup.dimension, BroadcastRollup.variant, BroadcastRollup.bucket)
    rolled = sa.select(*key, sa.func.sum(BroadcastRollup.count)).where(BroadcastRollup.broadcast_id == broadcast.id)
    by_chunk = {no: counts for no, *counts in await session.execute(chunks.order_by(BroadcastChunk.no))}
    *tallied, settled = (await session.execute(tallies)).one()
    found = await session.execute(rolled.group_by(*key))
    counts = Counter(
        {
            _place(broadcast, measure, dimension, variant, bucket): number
            for measure, dimension, variant, bucket, number in found
        }
    )
    return _Counts(broadcast.total_recipients, by_chunk, tallied, counts, settled)


async def _true(session: AsyncSession, broadcast: Broadcast) -> _Counts:
    """Read from the recipients alone, in a few walks over them."""
    counts: Counts = Counter()
    recipients, tallies = 0, Counter[str]()
    for variant, platform, country, number, *done in await session.execute(_grouped(broadcast)):
        by = {Dimension.ALL: "", Dimension.PLATFORM: platform and platform.value, Dimension.COUNTRY: country}
        found = dict(zip(_COUNTED, done, strict=True))
        recipients += number
        tallies.update(found)
        for of, bucket in by.items():
            counts[_place(broadcast, Measure.RECIPIENTS, of, None, bucket)] += number
            for measure in _TIMES:
                counts[_place(broadcast, measure, of, variant, bucket)] += found[measure.value.lower()]
        if variant is not None:
            counts[rollups.sent(broadcast.id, 0, variant)] += found["sent"]
    counts += await _true_details(session, broadcast)
    return _Counts(recipients, await _true_chunks(session, broadcast), [tallies[name] for name in _TALLIED], counts)


def _grouped(broadcast: Broadcast) -> sa.Select[*tuple[Any, ...]]:
    key = (BroadcastRecipient.variant, BroadcastRecipient.platform, BroadcastRecipient.country)
    times = (sa.func.count(getattr(BroadcastRecipient, f"{name}_at")) for name in _COUNTED)
    own = BroadcastRecipient.broadcast_id == broadcast.id
    return sa.select(*key, sa.func.count(), *times).where(own).group_by(*key)


async def _true_details(session: AsyncSession, broadcast: Broadcast) -> Counts:
    """First openings by their time, skips and failures by code."""
    counts: Counts = Counter()
    own, number = BroadcastRecipient.broadcast_id == broadcast.id, sa.func.count()
    quarter = _quarter(BroadcastRecipient.opened_at)
    openings = sa.select(BroadcastRecipient.variant, quarter, number).where(
        own, BroadcastRecipient.opened_at.is_not(None)
    )
    for variant, bucket, count in await session.execute(openings.group_by(sa.text("1, 2"))):
        counts[_place(broadcast, Measure.OPENED, Dimension.HOUR, variant, bucket)] = count
    key = (BroadcastRecipient.status, BroadcastRecipient.variant, BroadcastRecipient.error_code)
    ended = BroadcastRecipient.status.in_([RecipientStatus.SKIPPED, RecipientStatus.FAILED])
    codes = sa.select(*key, number).where(own, ended).group_by(*key)
    for status, variant, code, count in await session.execute(codes):
        counts[_place(broadcast, Measure(status.value), Dimension.CODE, variant, code)] = count
    return counts


async def _true_chunks(session: AsyncSession, broadcast: Broadcast) -> dict[int, Sequence[int]]:
    status = BroadcastRecipient.status
    meant = [
        BroadcastRecipient.sent_at.is_not(None),
        *(status == one for one in (RecipientStatus.FAILED, RecipientStatus.SKIPPED, RecipientStatus.UNCERTAIN)),
    ]
    within = sa.and_(
        BroadcastRecipient.broadcast_id == broadcast.id,
        BroadcastRecipient.seq.between(BroadcastChunk.lo_seq, BroadcastChunk.hi_seq),
    )
    counts = sa.select(*(sa.func.count().filter(one).label(f"n{at}") for at, one in enumerate(meant)))
    of_chunk = counts.where(within).correlate(BroadcastChunk).lateral()
    chunks = sa.select(BroadcastChunk.no, *of_chunk.c).where(BroadcastChunk.broadcast_id == broadcast.id)
    return {no: found for no, *found in await session.execute(chunks.order_by(BroadcastChunk.no))}


def _quarter(column: sa.SQLColumnExpression[Any]) -> sa.ColumnElement[str]:
    """As `rollups.quarter`."""
    start = sa.func.date_bin(sa.text(f"interval '{QUARTER} minutes'"), column, _EPOCH)
    return sa.func.to_char(sa.func.timezone("UTC", start), 'YYYY-MM-DD"T"HH24:MI')


def _place(
    broadcast: Broadcast, measure: Measure, dimension: Dimension, variant: int | None, bucket: Any
) -> rollups.Place:
    return rollups.place(
        broadcast.id, 0, measure, dimension, variant=None if variant == NO_VARIANT else variant, bucket=bucket
    )


async def _mend(session: AsyncSession, broadcast: Broadcast, true: _Counts) -> None:
    """Write the true counts. What was settled is counted as sent by the chunks themselves from now on."""
    of_it = BroadcastChunk.broadcast_id == broadcast.id
    for chunk in await session.scalars(sa.select(BroadcastChunk).where(of_it)):
        chunk.sent, chunk.failed, chunk.skipped, chunk.uncertain = true.chunks[chunk.no]
    broadcast.total_recipients = true.recipients
    tallies = sa.update(BroadcastTally).where(BroadcastTally.broadcast_id == broadcast.id)
    for shard, counts in ((BroadcastTally.shard > 0, [0] * len(_TALLIED)), (BroadcastTally.shard == 0, true.tallies)):
        written = dict(zip(_TALLIED, counts, strict=True)) | {"settled": 0}
        await session.execute(tallies.where(shard).values(written))
    await session.execute(sa.delete(BroadcastRollup).where(BroadcastRollup.broadcast_id == broadcast.id))
    await rollups.add(session, true.rollups)
