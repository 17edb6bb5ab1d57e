"""Counts of a broadcast by what one wants to see them by, kept in the transaction of what they count."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple, Protocol
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from models.broadcasts import TALLY_SHARDS, Dimension, Measure
from models.devices import Platform

NO_VARIANT = -1
QUARTER = 15


class Place(NamedTuple):
    """What is counted. In the order of its parts, which is that in which rows are locked."""

    broadcast_id: UUID
    shard: int
    measure: Measure
    dimension: Dimension
    variant: int
    bucket: str


Counts = Counter[Place]


class Reached(Protocol):
    """What a row must have of a recipient, to be counted by it."""

    broadcast_id: UUID
    seq: int
    platform: Platform | None
    country: str | None


_ADD = sa.text(
    """
    INSERT INTO broadcast_rollups AS r (broadcast_id, shard, measure, dimension, variant, bucket, count)
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:shards AS smallint[]), CAST(:measures AS text[]), CAST(:dimensions AS text[]),
        CAST(:variants AS smallint[]), CAST(:buckets AS text[]), CAST(:counts AS int[])
    )
    ON CONFLICT (broadcast_id, shard, measure, dimension, variant, bucket)
    DO UPDATE SET count = r.count + excluded.count
    """
)


def place(
    broadcast_id: UUID,
    seq: int,
    measure: Measure,
    dimension: Dimension,
    *,
    variant: int | None,
    bucket: str | None = "",
) -> Place:
    """Where the recipient `seq` is counted: by its shard, and under the empty text when the value is unknown."""
    shown = NO_VARIANT if variant is None else variant
    return Place(broadcast_id, seq % TALLY_SHARDS, measure, dimension, shown, bucket or "")


def sent(broadcast_id: UUID, shard_of: int, variant: int) -> Place:
    """Where a recipient that was sent a variant is counted; `shard_of` is its number, or that of its chunk."""
    return place(broadcast_id, shard_of, Measure.SENT, Dimension.ALL, variant=variant)


def step(recipient: Reached, measure: Measure, at: datetime, *, variant: int | None) -> Counts:
    """What one step of a recipient counts: in all, by platform and country, the first opening by its time besides."""
    buckets = {Dimension.ALL: "", Dimension.PLATFORM: recipient.platform and recipient.platform.value}
    buckets |= {Dimension.COUNTRY: recipient.country}
    buckets |= {Dimension.HOUR: quarter(at)} if measure is Measure.OPENED else {}
    id_, seq = recipient.broadcast_id, recipient.seq
    return Counter(place(id_, seq, measure, by, variant=variant, bucket=bucket) for by, bucket in buckets.items())


async def add(session: AsyncSession, counts: Mapping[Place, int]) -> None:
    """Add to the counts, in one statement and in the order of the places, so that two writers never deadlock."""
    some = sorted((place, count) for place, count in counts.items() if count)
    if not some:
        return
    ids, shards, measures, dimensions, variants, buckets = zip(*(place for place, _ in some), strict=True)
    columns = {
        "ids": ids,
        "shards": shards,
        "measures": [measure.value for measure in measures],
        "dimensions": [dimension.value for dimension in dimensions],
        "variants": variants,
        "buckets": buckets,
        "counts": [count for _, count in some],
    }
    await session.execute(_ADD, {name: list(values) for name, values in columns.items()})


def quarter(at: datetime) -> str:
    """The bucket of an instant: its quarter of an hour in UTC, so that an hour of any zone is made of whole ones."""
    at = at.astimezone(UTC)
    return f"{at:%Y-%m-%dT%H}:{at.minute // QUARTER * QUARTER:02}"
