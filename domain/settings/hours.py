"""Business hours: when the team of an app is there. Pure rules: no database, no present.

It is open whenever the clocks of the app's zone show a time of that day's hours. So an hour that comes twice as clocks
are put back is open twice, and one that is skipped as they are put forward never.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from core.errors import Invalid
from domain import checks, timing
from domain.timing import WEEK, Weekday

INTERVALS_MOST = 10
HOLIDAYS_MOST = 100
NAME_MOST = 60
AHEAD = timedelta(days=366)
YEARS = range(1970, 2201)
_DAY = timedelta(days=1)
_MIDNIGHT = time(0)


@dataclass(frozen=True, order=True)
class Interval:
    """Wall times to the minute, from `opens` on and before `closes`; 00:00 as `closes` is the end of the day."""

    opens: time
    closes: time

    def holds(self, wall: time) -> bool:
        """Whether `wall` is within it."""
        return self.opens <= wall and (wall < self.closes or self.closes == _MIDNIGHT)

    def __str__(self) -> str:
        return f"{self.opens:%H:%M} to {self.closes:%H:%M}"


ALL_DAY = (Interval(_MIDNIGHT, _MIDNIGHT),)


@dataclass(frozen=True)
class OpenDay:
    """The hours of a day of the week; without an interval it is closed."""

    weekday: Weekday
    intervals: Sequence[Interval]


@dataclass(frozen=True)
class Holiday:
    """A date whose hours stand in for those of its weekday; without an interval it is closed."""

    day: date
    name: str
    intervals: Sequence[Interval]


@dataclass(frozen=True)
class BusinessHours:
    """When an app is open.

    Attributes:
        time_zone: whose clocks it goes by.
        weekly: the seven days from Monday on; None: around the clock, but for holidays.
        holidays: in the order of their dates.
    """

    time_zone: str
    weekly: Sequence[OpenDay] | None
    holidays: Sequence[Holiday]

    def is_open(self, at: datetime) -> bool:
        """Whether it is open at an instant.

        Raises:
            Invalid: `at` is not of the years 1970 to 2200.
        """
        return self._holds(_understood(at).astimezone(ZoneInfo(self.time_zone)))

    def next_opening(self, at: datetime) -> datetime | None:
        """The first instant from `at` on, in UTC, at which it is open; None when there is none within a year.

        Raises:
            Invalid: `at` is not of the years 1970 to 2200.
        """
        there, now = ZoneInfo(self.time_zone), _understood(at)
        while now - at <= AHEAD:
            local = now.astimezone(there)
            if self._holds(local):
                return now
            now = timing.onward(now, self._left(local.replace(tzinfo=None)), there)
        return None

    def _holds(self, local: datetime) -> bool:
        return any(one.holds(local.time()) for one in self.of(local.date()))

    def _left(self, wall: datetime) -> timedelta:
        """Until clocks show the next opening of the day, else midnight; by the day, clocks change once at most."""
        opening = next((one.opens for one in self.of(wall.date()) if one.opens > wall.time()), None)
        if opening is None:
            return datetime.combine(wall.date(), _MIDNIGHT) + _DAY - wall
        return datetime.combine(wall.date(), opening) - wall

    def of(self, day: date) -> Sequence[Interval]:
        """The hours of a date, in their order."""
        if day in self._special:
            return self._special[day]
        return ALL_DAY if self.weekly is None else self.weekly[day.weekday()].intervals

    @cached_property
    def _special(self) -> Mapping[date, Sequence[Interval]]:
        return {one.day: one.intervals for one in self.holidays}


def _understood(at: datetime) -> datetime:
    """`at` in UTC; as far away as zones are known, and nowhere near the ends of the calendar."""
    if at.year not in YEARS:
        raise Invalid(f"at must be of the years {YEARS[0]} to {YEARS[-1]}.", field="at")
    return at.astimezone(UTC)


def read(stored: Mapping[str, Any], time_zone: str) -> BusinessHours:
    """The hours of an app, from `App.business_hours` and its zone."""
    weekly = stored.get("weekly")
    days = None if weekly is None else [OpenDay(one, _read(weekly.get(one.value, ()))) for one in WEEK]
    holidays = [
        Holiday(date.fromisoformat(one["date"]), one["name"], _read(one["hours"])) for one in stored.get("holidays", ())
    ]
    return BusinessHours(time_zone, days, holidays)


def _read(hours: Sequence[Sequence[str]]) -> list[Interval]:
    return [Interval(time.fromisoformat(opens), time.fromisoformat(closes)) for opens, closes in hours]


def write_weekly(days: Sequence[OpenDay], field: str) -> dict[str, Any]:
    """The hours of a week, as they are stored; a day that is not among them is closed.

    Raises:
        Invalid: a day is there twice, or its intervals break a rule.
    """
    checks.at_most(list(days), field, len(WEEK))
    written: dict[str, Any] = {}
    for no, day in enumerate(days):
        if day.weekday in written:
            raise Invalid(f"{day.weekday.value} is there twice.", field=f"{field}.{no}.weekday")
        written[day.weekday] = _write(day.intervals, f"{field}.{no}.intervals")
    return {day.value: written[day] for day in WEEK if written.get(day)}


def write_holidays(holidays: Sequence[Holiday], field: str) -> list[dict[str, Any]]:
    """Holidays as they are stored, in the order of their dates.

    Raises:
        Invalid: there are more than 100, a date is there twice, or a name or intervals break a rule.
    """
    checks.at_most(list(holidays), field, HOLIDAYS_MOST)
    written: dict[str, dict[str, Any]] = {}
    for no, one in enumerate(holidays):
        day, name = one.day.isoformat(), checks.text(one.name, f"{field}.{no}.name", most=NAME_MOST)
        if day in written:
            raise Invalid(f"{day} is there twice.", field=f"{field}.{no}.day")
        written[day] = {"date": day, "name": name, "hours": _write(one.intervals, f"{field}.{no}.intervals")}
    return [written[day] for day in sorted(written)]


def _write(intervals: Sequence[Interval], field: str) -> list[list[str]]:
    checks.at_most(list(intervals), field, INTERVALS_MOST)
    for no, one in enumerate(intervals):
        if one.closes != _MIDNIGHT and one.opens >= one.closes:
            way_out = "What goes over midnight is two intervals; 00:00 as closes is the end of the day."
            raise Invalid(f"opens must be before closes. {way_out}", field=f"{field}.{no}")
    ordered = sorted(intervals)
    for before, after in pairwise(ordered):
        if before.closes == _MIDNIGHT or after.opens < before.closes:
            raise Invalid(f"{before} and {after} overlap.", field=field)
    return [[f"{one.opens:%H:%M}", f"{one.closes:%H:%M}"] for one in ordered]
