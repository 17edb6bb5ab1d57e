"""When an app is open, and when next: also where clocks are changed."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from domain.settings import hours
from domain.settings.hours import BusinessHours, Holiday, Interval, OpenDay
from domain.timing import WEEK, Weekday
from tests.domain.test_timing import BERLIN, LORD_HOWE, SANTIAGO, at, near_a_change

MINUTE, DAY_MINUTES = timedelta(minutes=1), 1440
SCANNED = 8 * DAY_MINUTES
Days = dict[Weekday, list[Interval]]


def interval(text: str) -> Interval:
    """`09:00-12:00`."""
    opens, closes = text.split("-")
    return Interval(time.fromisoformat(opens), time.fromisoformat(closes))


def intervals(text: str) -> list[Interval]:
    return [interval(one) for one in text.split()]


def open_by(zone: str, weekly: dict[Weekday, str] | None, **holidays: str) -> BusinessHours:
    """Business hours; holidays by names like `d2026_12_25`."""
    days = None if weekly is None else [OpenDay(day, intervals(text)) for day, text in weekly.items()]
    special = [
        Holiday(date.fromisoformat(name[1:].replace("_", "-")), "Closed", intervals(text))
        for name, text in holidays.items()
    ]
    return made(zone, days, special)


def made(zone: str, days: Sequence[OpenDay] | None, special: Sequence[Holiday]) -> BusinessHours:
    """What comes back once it was stored."""
    weekly = None if days is None else hours.write_weekly(days, "weekly")
    return hours.read({"weekly": weekly, "holidays": hours.write_holidays(special, "holidays")}, zone)


@st.composite
def day_hours(draw: st.DrawFn) -> list[Interval]:
    """Up to three intervals of a day, in any order; the last may end with the day."""
    ends = sorted(draw(st.sets(st.integers(0, DAY_MINUTES), max_size=6)))
    pairs = list(zip(ends[::2], ends[1::2], strict=False))
    return draw(st.permutations([Interval(wall(opens), wall(closes)) for opens, closes in pairs]))


def wall(minute: int) -> time:
    return time(minute // 60 % 24, minute % 60)


@st.composite
def business_hours(draw: st.DrawFn) -> tuple[BusinessHours, datetime]:
    """Hours by the clocks of a zone, holidays among them, and an instant near a change of those clocks."""
    zone, instant = draw(near_a_change())
    days = draw(st.none() | st.lists(st.sampled_from(WEEK), unique=True))
    weekly = None if days is None else [OpenDay(day, draw(day_hours())) for day in days]
    near = st.integers(-2, 9).map(lambda no: instant.date() + timedelta(days=no))
    special = [Holiday(day, "Closed", draw(day_hours())) for day in draw(st.sets(near, max_size=4))]
    return made(zone, weekly, special), instant + timedelta(seconds=draw(st.integers(0, 59)))


def is_open(found: BusinessHours, instant: datetime) -> bool:
    """The same, said in another way: by minutes of the day."""
    local = instant.astimezone(ZoneInfo(found.time_zone))
    minute = local.hour * 60 + local.minute
    special = [one.intervals for one in found.holidays if one.day == local.date()]
    weekly = [[interval("00:00-00:00")]] if found.weekly is None else [found.weekly[local.weekday()].intervals]
    (told,) = special or weekly
    spans = [(one.opens.hour * 60 + one.opens.minute, one.closes.hour * 60 + one.closes.minute) for one in told]
    return any(opens <= minute < (closes or DAY_MINUTES) for opens, closes in spans)


@given(business_hours())
def test_it_is_open_when_clocks_show_an_opening_time(case: tuple[BusinessHours, datetime]) -> None:
    found, instant = case
    assert found.is_open(instant) is is_open(found, instant)


@given(business_hours())
def test_the_next_opening_is_the_first(case: tuple[BusinessHours, datetime]) -> None:
    found, instant = case
    whole = instant.replace(second=0) + MINUTE
    candidates = [instant, *(whole + no * MINUTE for no in range(SCANNED))]
    first = next((one for one in candidates if is_open(found, one)), None)
    told = found.next_opening(instant)
    if first is None:
        assert told is None or (told > candidates[-1] and is_open(found, told) and not is_open(found, told - MINUTE))
    else:
        assert told == first


@given(st.lists(st.sampled_from(WEEK), unique=True).flatmap(lambda days: st.tuples(*([day_hours()] * len(days)))))
def test_hours_come_back_in_order(told: tuple[list[Interval], ...]) -> None:
    days = [OpenDay(day, one) for day, one in zip(reversed(WEEK), told, strict=False)]
    found = made("UTC", days, [])
    weekly = found.weekly or ()
    assert [one.weekday for one in weekly] == list(WEEK)
    said = {one.weekday: sorted(one.intervals) for one in days}
    assert {one.weekday: list(one.intervals) for one in weekly} == {day: said.get(day, []) for day in WEEK}


@pytest.mark.parametrize(
    ("zone", "sunday", "instant", "opening"),
    [
        # an hour that is skipped: not on that day, but a week later
        (BERLIN, "02:00-03:00", "2026-03-28T12:00Z", "2026-04-05T00:00Z"),
        # it opens in the gap: as soon as it is over
        (BERLIN, "02:30-04:00", "2026-03-28T12:00Z", "2026-03-29T01:00Z"),
        (LORD_HOWE, "02:15-04:00", "2026-10-03T00:00Z", "2026-10-03T15:30Z"),
        # midnight is skipped
        (SANTIAGO, "00:00-00:00", "2026-09-05T12:00Z", "2026-09-06T04:00Z"),
        # an hour that comes twice is open twice
        (BERLIN, "02:00-02:30", "2026-10-24T12:00Z", "2026-10-25T00:00Z"),
        (BERLIN, "02:00-02:30", "2026-10-25T00:30Z", "2026-10-25T01:00Z"),
        (BERLIN, "02:00-03:00", "2026-10-25T01:59Z", "2026-10-25T01:59Z"),
        (BERLIN, "02:00-03:00", "2026-10-25T02:00Z", "2026-11-01T01:00Z"),
    ],
)
def test_clocks_are_changed(zone: str, sunday: str, instant: str, opening: str) -> None:
    assert open_by(zone, {Weekday.SUNDAY: sunday}).next_opening(at(instant)) == at(opening)


def test_over_midnight_it_stays_open() -> None:
    found = open_by(BERLIN, {Weekday.FRIDAY: "22:00-00:00", Weekday.SATURDAY: "00:00-02:00"})
    told = [found.is_open(at(f"2026-01-{instant}Z")) for instant in ("16T20:59", "16T21:00", "16T22:59", "16T23:00")]
    assert told == [False, True, True, True]
    assert [found.is_open(at(f"2026-01-17T{instant}Z")) for instant in ("00:59", "01:00")] == [True, False]


def test_a_holiday_stands_in_for_its_weekday() -> None:
    week = dict.fromkeys(WEEK, "09:00-17:00")
    found = open_by("UTC", week, d2026_12_24="09:00-12:00", d2026_12_25="", d2026_12_26="")
    assert found.next_opening(at("2026-12-24T08:00Z")) == at("2026-12-24T09:00Z")
    assert found.next_opening(at("2026-12-24T12:00Z")) == at("2026-12-27T09:00Z")
    always = open_by("UTC", None, d2026_12_25="")
    assert (always.is_open(at("2026-12-24T23:59Z")), always.is_open(at("2026-12-25T00:00Z"))) == (True, False)
    assert always.next_opening(at("2026-12-25T00:00Z")) == at("2026-12-26T00:00Z")


def test_what_never_opens_within_a_year_has_no_opening() -> None:
    assert open_by("UTC", {}).next_opening(at("2026-01-01T00:00Z")) is None
    once = open_by("UTC", {}, d2027_01_01="12:00-13:00")
    assert once.next_opening(at("2026-01-01T00:00Z")) == at("2027-01-01T12:00Z")
    assert once.next_opening(at("2025-12-01T00:00Z")) is None


@pytest.mark.parametrize("year", [1969, 2201, 9999])
def test_an_instant_far_away_is_refused(year: int) -> None:
    found = open_by(BERLIN, None)
    for ask in (found.is_open, found.next_opening):
        with pytest.raises(Invalid, match="at must be of the years 1970 to 2200"):
            ask(datetime(year, 6, 1, tzinfo=UTC))
    assert found.is_open(datetime(2200, 12, 31, 23, 59, tzinfo=UTC))
