"""When something is due where a contact lives. Pure rules: no database, no present.

Clocks that are put forward leave a gap of wall times that never come; put back, some come twice. Of the first, the
first instant after the gap is meant; of the second, the first occurrence. A contact's zone that is missing or unknown
falls back to another.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from math import ceil, floor
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from core.errors import Invalid
from domain import checks

CRON_CHARS = 100
CRON_FIELDS = 5
APART_MINUTES = 5
_DAY = timedelta(days=1)
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Weekday(StrEnum):
    """A day of the week, in the order of `date.weekday`."""

    MONDAY = "MONDAY"
    TUESDAY = "TUESDAY"
    WEDNESDAY = "WEDNESDAY"
    THURSDAY = "THURSDAY"
    FRIDAY = "FRIDAY"
    SATURDAY = "SATURDAY"
    SUNDAY = "SUNDAY"


WEEK = tuple(Weekday)


def zone(name: str, field: str) -> str:
    """An IANA zone name like `Europe/Berlin`.

    Raises:
        Invalid: there is no such zone.
    """
    found = checks.time_zone(name, field)
    if found is None:
        raise Invalid(f"{field} is not a time zone, like Europe/Berlin.", field=field)
    return found


@lru_cache(maxsize=1024)
def _known(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(zone(name, "timeZone"))
    except Invalid:
        return None


def _zone_of(name: str | None, fallback: str) -> ZoneInfo:
    return (_known(name) if name else None) or ZoneInfo(zone(fallback, "timeZone"))


def local_instant(wall: datetime, zone: str | None, fallback: str) -> datetime:
    """The instant, in UTC, at which clocks in `zone` show `wall`; of the years 2 to 9998.

    Args:
        wall: without a zone.
        zone: IANA name; None or an unknown one is `fallback`.
        fallback: IANA name.

    Raises:
        Invalid: there is no zone `fallback`.
    """
    there = _zone_of(zone, fallback)
    first = wall.replace(tzinfo=there, fold=0).astimezone(UTC)
    if first.astimezone(there).replace(tzinfo=None) == wall:
        return first
    # In a gap the offset from before leads behind it, the one from after leads before it.
    return _transition(wall.replace(tzinfo=there, fold=1).astimezone(UTC), first, there)


def onward(at: datetime, by: timedelta, there: ZoneInfo) -> datetime:
    """The instant after `at` by `by`, or when clocks `there` are changed, if they are before: look anew then.

    Args:
        at: in UTC.
        by: more than nothing, and so little that clocks are not changed twice meanwhile.
        there: whose clocks.
    """
    then = at + by
    return then if _offset(at, there) == _offset(then, there) else _transition(at, then, there)


def _transition(low: datetime, high: datetime, there: ZoneInfo) -> datetime:
    """The first second after `low` at which clocks show another offset than then, when they do so at `high`."""
    before, least, most = _offset(low, there), floor(low.timestamp()), ceil(high.timestamp())
    while most - least > 1:
        middle = (least + most) // 2
        if _offset(datetime.fromtimestamp(middle, UTC), there) == before:
            least = middle
        else:
            most = middle
    return datetime.fromtimestamp(most, UTC)


def _offset(instant: datetime, there: ZoneInfo) -> timedelta | None:
    return instant.astimezone(there).utcoffset()


@dataclass(frozen=True)
class QuietHours:
    """Wall times at which nobody is to be disturbed: from `start` on, before `end`, over midnight when `end` is less.

    Both being equal means that there are none.
    """

    start: time
    end: time

    def hold(self, wall: time) -> bool:
        """Whether `wall` is within them."""
        if self.start <= self.end:
            return self.start <= wall < self.end
        return wall >= self.start or wall < self.end

    def allowed_at(self, instant: datetime, zone: str | None, fallback: str) -> datetime:
        """The first instant from `instant` on, in UTC, at which clocks in `zone` show no quiet time.

        Args:
            instant: with a zone.
            zone: IANA name; None or an unknown one is `fallback`.
            fallback: IANA name.

        Raises:
            Invalid: there is no zone `fallback`.
        """
        there, at = _zone_of(zone, fallback), instant.astimezone(UTC)
        while self.hold(at.astimezone(there).time()):
            at = onward(at, self._left(at.astimezone(there)), there)
        return at

    def _left(self, local: datetime) -> timedelta:
        """Until clocks show the end of the quiet time around `local`."""
        wall = local.replace(tzinfo=None)
        return (datetime.combine(wall.date(), self.end) - wall) % _DAY


def cron(expression: str, field: str) -> str:
    """A cron expression of five fields: minute, hour, day of month, month, day of week; blanks made single.

    Raises:
        Invalid: it is none, never comes, or comes more often than every 5 minutes.
    """
    _next(_parsed(expression, _LONG_AGO, field), _LONG_AGO, field)
    return " ".join(expression.split())


def next_cron(expression: str, zone: str, after: datetime, field: str = "cron") -> datetime:
    """The first instant after `after`, in UTC, at which clocks in `zone` show what a cron expression says.

    As Debian's cron: one whose minute or hour begins with a star goes by the time that passes, so in an hour that
    comes twice it comes in both. Any other comes once a day it is meant for: at the end of the gap when clocks are put
    forward over it, the first time when they are put back.

    Args:
        expression: five fields.
        zone: IANA name.
        after: with a zone.
        field: where the expression came from.

    Raises:
        Invalid: as `cron`, or there is no such zone.
    """
    parsed = _parsed(expression, after.astimezone(_zone_of(None, zone)), field)
    return _next(parsed, after.astimezone(UTC), field)


def _next(parsed: CronSim, after: datetime, field: str) -> datetime:
    """What comes first after `after`: in a time that comes twice the library may name one that is over."""
    instants = (one.astimezone(UTC) for one in parsed)
    found = next((one for one in instants if one > after), None)
    if found is None:
        raise Invalid(f"{field} names a day that never comes.", field=field)
    return found


def _parsed(expression: str, start: datetime, field: str) -> CronSim:
    if len(expression) > CRON_CHARS or len(expression.split()) != CRON_FIELDS:
        raise Invalid(f"{field} must have the five fields of cron, like 30 9 * * 1-5.", field=field)
    try:
        found = CronSim(expression, start)
    except CronSimError as error:
        raise Invalid(f"{field} is no cron expression: {error}.", field=field) from None
    if _least_apart(found) < APART_MINUTES:
        raise Invalid(f"{field} must not come more often than every {APART_MINUTES} minutes.", field=field)
    return found


def _least_apart(parsed: CronSim) -> int:
    """Minutes between the two that are nearest to each other."""
    minutes = sorted(parsed.minutes)
    apart = [later - earlier for earlier, later in pairwise(minutes)]
    if any((hour + 1) % 24 in parsed.hours for hour in parsed.hours):
        apart.append(minutes[0] + 60 - minutes[-1])
    return min(apart, default=60)
