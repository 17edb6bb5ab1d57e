"""What came of sending, written for many recipients at once: their rows, the counts of the chunk, the rollups."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain.broadcasts import rollups
from models.broadcasts import BroadcastChunk, BroadcastRecipient, Dimension, Measure, RecipientStatus
from models.channels import ChannelKind

ATTEMPTS_MOST = 8
EXHAUSTED = "RETRIES_EXHAUSTED"
FIRST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(hours=1)
_STEPS = {
    Measure.DELIVERED: BroadcastRecipient.delivered_at,
    Measure.OPENED: BroadcastRecipient.opened_at,
    Measure.CLICKED: BroadcastRecipient.clicked_at,
    Measure.CONVERTED: BroadcastRecipient.converted_at,
}
_COUNTED = {
    RecipientStatus.SENT: "sent",
    RecipientStatus.FAILED: "failed",
    RecipientStatus.SKIPPED: "skipped",
    RecipientStatus.UNCERTAIN: "uncertain",
}


class Result(NamedTuple):
    """What came of one recipient.

    Attributes:
        status: SENT, DEFERRED, UNCERTAIN, SKIPPED or FAILED.
        code: why it is not SENT.
        until: when it is tried again; for DEFERRED.
        is_retry: the channel said: later. It is tried eight times.
        channel: by which way it went, or was to go.
        variant: the variant it got, when it was chosen only now.
        provider_id: what the provider calls the message.
    """

    seq: int
    status: RecipientStatus = RecipientStatus.SENT
    code: str | None = None
    until: datetime | None = None
    is_retry: bool = False
    channel: ChannelKind | None = None
    variant: int | None = None
    provider_id: str | None = None


class _Group(NamedTuple):
    """Recipients of whom the same has come.

    Attributes:
        status: what they count as in their chunk; SENT for those who were reported on before their result.
        moved: those who were reported on while their variant was not written yet.
    """

    status: RecipientStatus
    code: str | None
    variant: int | None
    number: int
    moved: Sequence[int] | None


# The rows are locked in their order, as reports do: that of the arrays. One that was reported on has been sent,
# whatever the channel says now: it was, before a crash.
#
# PostgreSQL cannot know how many rows the arrays hold, nor how many a broadcast that began a moment ago has; taking
# both for few it would compare each with each, 1,000 times slower. LATERAL, and an UPDATE bound by nothing but its key,
# leave it only the index.
_WRITE = sa.text(
    """
    WITH locked AS MATERIALIZED (
        SELECT CAST(:id AS uuid) AS broadcast_id, n.*, r.is_reported, r.variant AS was
        FROM unnest(
            CAST(:seqs AS int[]), CAST(:statuses AS text[]), CAST(:codes AS text[]), CAST(:untils AS timestamptz[]),
            CAST(:retries AS bool[]), CAST(:channels AS text[]), CAST(:variants AS smallint[]),
            CAST(:provider_ids AS text[])
        ) AS n(seq, status, code, until, is_retry, channel, variant, provider_id)
        CROSS JOIN LATERAL (
            SELECT delivered_at IS NOT NULL AS is_reported, variant
            FROM broadcast_recipients
            WHERE broadcast_id = :id AND seq = n.seq AND sent_at IS NULL
              AND (status IN ('PENDING', 'DEFERRED') OR delivered_at IS NOT NULL)
            OFFSET 0 FOR NO KEY UPDATE
        ) r
    ), written AS (
        UPDATE broadcast_recipients r
        SET status = CASE WHEN l.is_reported THEN r.status ELSE l.status END,
            sent_at = CASE WHEN l.is_reported OR l.status = 'SENT' THEN CAST(:at AS timestamptz) END,
            error_code = CASE WHEN l.is_reported THEN NULL ELSE l.code END,
            deferred_until = CASE WHEN l.is_reported THEN NULL ELSE l.until END,
            attempts = r.attempts + CAST(l.is_retry AND NOT l.is_reported AS int),
            variant = coalesce(l.variant, r.variant),
            channel = coalesce(l.channel, r.channel),
            provider_id = coalesce(l.provider_id, r.provider_id)
        FROM locked l
        WHERE r.broadcast_id = l.broadcast_id AND r.seq = l.seq
        RETURNING r.seq, CASE WHEN l.is_reported THEN 'SENT' ELSE l.status END AS status, r.error_code, r.variant,
                  l.is_reported AND l.was IS DISTINCT FROM r.variant AS is_moved
    )
    SELECT status, error_code, variant, count(*), array_agg(seq) FILTER (WHERE is_moved) AS moved
    FROM written GROUP BY status, error_code, variant
    """
)


async def write(session: AsyncSession, chunk: BroadcastChunk, results: Sequence[Result]) -> None:
    """Write `results` of recipients of a chunk that is held by this transaction. Who has a result already keeps it."""
    if not results:
        return
    final = await _timed(session, chunk, results)
    rows = await session.execute(_WRITE, _columns(final) | {"id": chunk.broadcast_id, "at": now()})
    groups = [_Group(RecipientStatus(status), *rest) for status, *rest in rows]
    for group in groups:
        if name := _COUNTED.get(group.status):
            setattr(chunk, name, getattr(chunk, name) + group.number)
    counts = _counts(chunk, groups)
    for group in groups:
        if group.moved:
            await _move(session, counts, chunk, group)
    await rollups.add(session, counts)


async def _timed(session: AsyncSession, chunk: BroadcastChunk, results: Sequence[Result]) -> Sequence[Result]:
    """The same, and when each retry comes; its count changes with its owner only, who asks."""
    again = [result.seq for result in results if result.is_retry]
    if not again:
        return results
    mine = sa.and_(BroadcastRecipient.broadcast_id == chunk.broadcast_id, BroadcastRecipient.seq.in_(again))
    tried = await session.execute(sa.select(BroadcastRecipient.seq, BroadcastRecipient.attempts).where(mine))
    attempts = {seq: count + 1 for seq, count in tried}
    return [_retried(one, attempts[one.seq]) if one.seq in attempts else one for one in results]


def _retried(result: Result, attempts: int) -> Result:
    """When it is tried again: as the provider says, or after a pause that doubles; never, after eight times."""
    if attempts >= ATTEMPTS_MOST:
        return result._replace(status=RecipientStatus.FAILED, code=EXHAUSTED, until=None)
    pause = min(FIRST_PAUSE * 2 ** (attempts - 1), LONGEST_PAUSE) * random.uniform(0.8, 1.2)  # noqa: S311
    return result._replace(until=result.until or now() + pause)


def _columns(results: Sequence[Result]) -> dict[str, Any]:
    """The results column by column, as `unnest` takes them; the last one of each recipient."""
    last = {result.seq: result for result in sorted(results, key=lambda result: result.seq)}
    names = ("seqs", "statuses", "codes", "untils", "retries", "channels", "variants", "provider_ids")
    return dict(zip(names, map(list, zip(*last.values(), strict=True)), strict=True))


def _counts(chunk: BroadcastChunk, groups: Sequence[_Group]) -> rollups.Counts:
    """Skips and failures by code; and what was sent, where there are variants to compare.

    One shard for all of the chunk, so that a micro-batch writes few rows.
    """
    counts: rollups.Counts = Counter()
    for group in groups:
        if group.status in {RecipientStatus.SKIPPED, RecipientStatus.FAILED}:
            by, measure = Dimension.CODE, Measure(group.status.value)
            place = rollups.place(chunk.broadcast_id, chunk.no, measure, by, variant=group.variant, bucket=group.code)
            counts[place] += group.number
        elif group.status is RecipientStatus.SENT and group.variant is not None:
            counts[rollups.sent(chunk.broadcast_id, chunk.no, group.variant)] += group.number
    return counts


async def _move(session: AsyncSession, counts: rollups.Counts, chunk: BroadcastChunk, group: _Group) -> None:
    """What was reported before the variant was written is counted under it from now on."""
    columns = (
        BroadcastRecipient.broadcast_id,
        BroadcastRecipient.seq,
        BroadcastRecipient.platform,
        BroadcastRecipient.country,
        *_STEPS.values(),
    )
    mine = sa.and_(BroadcastRecipient.broadcast_id == chunk.broadcast_id, BroadcastRecipient.seq.in_(group.moved or ()))
    for row in await session.execute(sa.select(*columns).where(mine)):
        for measure, column in _STEPS.items():
            if at := getattr(row, column.key):
                counts.subtract(rollups.step(row, measure, at, variant=None))
                counts.update(rollups.step(row, measure, at, variant=group.variant))
