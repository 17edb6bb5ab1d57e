"""The numbers of a broadcast, from its rollups: as quick for ten million recipients as for ten."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from domain import timing
from domain.broadcasts import progress
from domain.broadcasts.progress import Stats
from domain.broadcasts.queries import get
from domain.broadcasts.rollups import NO_VARIANT
from models.broadcasts import Broadcast, BroadcastRollup, Dimension, Measure

HOURS = 24


@dataclass(frozen=True)
class Share:
    """A value, and how many recipients have it and what they did. The empty text is the unknown value."""

    value: str
    recipients: int
    delivered: int
    opened: int
    clicked: int


@dataclass(frozen=True)
class CodeCount:
    """How many recipients were skipped, or failed, for one reason."""

    code: str
    count: int


@dataclass(frozen=True)
class HourShare:
    """An hour of the day, 0 to 23: how many opened in it for the first time, and their part of those delivered."""

    hour: int
    opened: int
    rate: float | None


@dataclass(frozen=True)
class VariantShare:
    """What became of one variant. Rates are those of delivered recipients; None where nothing was delivered."""

    name: str
    is_winner: bool
    sent: int
    delivered: int
    opened: int
    clicked: int
    conversions: int = 0
    has_goal: bool = False

    @property
    def open_rate(self) -> float | None:
        """Opened over delivered."""
        return self.opened / self.delivered if self.delivered else None

    @property
    def click_rate(self) -> float | None:
        """Clicked over delivered."""
        return self.clicked / self.delivered if self.delivered else None

    @property
    def conversion_rate(self) -> float | None:
        """Converted over delivered; None without a goal too."""
        return self.conversions / self.delivered if self.delivered and self.has_goal else None


@dataclass(frozen=True)
class Analytics:
    """All numbers of a broadcast."""

    stats: Stats
    time_zone: str
    open_rate_by_hour: Sequence[HourShare]
    device_breakdown: Sequence[Share]
    country_breakdown: Sequence[Share]
    skipped_by_reason: Sequence[CodeCount]
    failed_by_code: Sequence[CodeCount]
    variants: Sequence[VariantShare]
    conversions: int
    conversion_rate: float | None


_Key = tuple[Measure, Dimension, int, str]


async def read(session: AsyncSession, app_id: UUID, broadcast_id: UUID, zone: str = "UTC") -> Analytics:
    """The numbers of a broadcast of the app; hours are those of `zone`.

    Raises:
        NotFound: the app has no such broadcast.
        Invalid: there is no such time zone.
    """
    zone = timing.zone(zone, "timeZone")
    broadcast = await get(session, app_id, broadcast_id, field="broadcastId")
    (stats,) = await progress.stats(session, [broadcast])
    found = await _rollups(session, broadcast)
    conversions, delivered = _total(found, Measure.CONVERTED), _total(found, Measure.DELIVERED)
    return Analytics(
        stats=stats,
        time_zone=zone,
        open_rate_by_hour=_hours(found, ZoneInfo(zone)),
        device_breakdown=_shares(found, Dimension.PLATFORM),
        country_breakdown=_shares(found, Dimension.COUNTRY),
        skipped_by_reason=_codes(found, Measure.SKIPPED),
        failed_by_code=_codes(found, Measure.FAILED),
        variants=_variants(broadcast, found),
        conversions=conversions,
        conversion_rate=conversions / delivered if delivered and broadcast.goal_event_name else None,
    )


async def _rollups(session: AsyncSession, broadcast: Broadcast) -> Mapping[_Key, int]:
    """The sums over all shards. Nobody asks for the hours of a variant, and they are the most: they come in one."""
    of_hour = BroadcastRollup.dimension == Dimension.HOUR
    variant = sa.case((of_hour, sa.literal_column(str(NO_VARIANT))), else_=BroadcastRollup.variant)
    key = (BroadcastRollup.measure, BroadcastRollup.dimension, variant.label("of_variant"), BroadcastRollup.bucket)
    counts = sa.select(*key, sa.func.sum(BroadcastRollup.count)).where(BroadcastRollup.broadcast_id == broadcast.id)
    rows = await session.execute(counts.group_by(*key))
    return {(measure, dimension, variant, bucket): count for measure, dimension, variant, bucket, count in rows}


def _total(found: Mapping[_Key, int], measure: Measure) -> int:
    """Over all variants, as of the same moment as everything else in `found`."""
    return sum(count for (of, by, *_), count in found.items() if (of, by) == (measure, Dimension.ALL))


def _hours(found: Mapping[_Key, int], zone: ZoneInfo) -> list[HourShare]:
    """All hours of the day, also those in which nobody opened it. Rates are of one and the same moment."""
    opened, delivered = Counter[int](), 0
    for (measure, dimension, _, bucket), count in found.items():
        if (measure, dimension) == (Measure.DELIVERED, Dimension.ALL):
            delivered += count
        if (measure, dimension) == (Measure.OPENED, Dimension.HOUR):
            opened[datetime.fromisoformat(bucket).replace(tzinfo=UTC).astimezone(zone).hour] += count
    return [HourShare(hour, opened[hour], opened[hour] / delivered if delivered else None) for hour in range(HOURS)]


def _shares(found: Mapping[_Key, int], dimension: Dimension) -> list[Share]:
    """By value, the most frequent first."""
    by_value: defaultdict[str, Counter[Measure]] = defaultdict(Counter)
    for (measure, of, _, bucket), count in found.items():
        if of is dimension:
            by_value[bucket][measure] += count
    measures = (Measure.RECIPIENTS, Measure.DELIVERED, Measure.OPENED, Measure.CLICKED)
    shares = [Share(value, *(counts[one] for one in measures)) for value, counts in by_value.items()]
    return sorted(shares, key=lambda share: (-share.recipients, share.value))


def _codes(found: Mapping[_Key, int], measure: Measure) -> list[CodeCount]:
    counts: Counter[str] = Counter()
    for (of, dimension, _, bucket), count in found.items():
        if (of, dimension) == (measure, Dimension.CODE):
            counts[bucket] += count
    return [CodeCount(code, count) for code, count in counts.most_common() if count]


def _variants(broadcast: Broadcast, found: Mapping[_Key, int]) -> list[VariantShare]:
    return [_variant(broadcast, no, found) for no in range(len(broadcast.variants))]


def _variant(broadcast: Broadcast, no: int, found: Mapping[_Key, int]) -> VariantShare:
    measures = (Measure.SENT, Measure.DELIVERED, Measure.OPENED, Measure.CLICKED, Measure.CONVERTED)
    sent, delivered, opened, clicked, converted = (found.get((one, Dimension.ALL, no, ""), 0) for one in measures)
    name, is_winner = broadcast.variants[no]["name"], broadcast.winner == no
    has_goal = broadcast.goal_event_name is not None
    return VariantShare(name, is_winner, sent, delivered, opened, clicked, converted, has_goal)
