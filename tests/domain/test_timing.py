"""Wall times, quiet hours and cron where clocks are changed."""

import zoneinfo
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from domain import timing
from domain.timing import QuietHours, local_instant, next_cron

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
LORD_HOWE, SANTIAGO = "Australia/Lord_Howe", "America/Santiago"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
# What is put forward, and back, in 2026.
CHANGES = {
    BERLIN: ("2026-03-29T01:00Z", "2026-10-25T01:00Z"),
    NEW_YORK: ("2026-03-08T07:00Z", "2026-11-01T06:00Z"),
    LORD_HOWE: ("2026-10-03T15:30Z", "2026-04-04T15:00Z"),
    SANTIAGO: ("2026-09-06T04:00Z", "2026-04-05T03:00Z"),
    "UTC": ("2026-01-01T00:00Z",),
}
ZONES = sorted(zoneinfo.available_timezones())
WALLS = st.datetimes(datetime(2000, 1, 1), datetime(2037, 12, 31))  # noqa: DTZ001


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@st.composite
def near_a_change(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone, and a minute within two days of a change of its clocks."""
    name = draw(st.sampled_from(sorted(CHANGES)))
    change = at(draw(st.sampled_from(CHANGES[name])))
    return name, change + draw(st.integers(-2880, 2880)) * MINUTE


@pytest.mark.parametrize(
    ("name", "wall", "instant"),
    [
        # half past two on the day of the spring gap
        (BERLIN, "2026-03-29T02:30", "2026-03-29T01:00Z"),
        (NEW_YORK, "2026-03-08T02:30", "2026-03-08T07:00Z"),
        (LORD_HOWE, "2026-10-04T02:30", "2026-10-03T15:30Z"),
        (SANTIAGO, "2026-09-06T02:30", "2026-09-06T05:30Z"),
        # and on that of the autumn overlap
        (BERLIN, "2026-10-25T02:30", "2026-10-25T00:30Z"),
        (NEW_YORK, "2026-11-01T02:30", "2026-11-01T07:30Z"),
        (LORD_HOWE, "2026-04-05T02:30", "2026-04-04T16:00Z"),
        (SANTIAGO, "2026-04-05T02:30", "2026-04-05T06:30Z"),
        # in the gap and in the overlap where half past two is not
        (LORD_HOWE, "2026-10-04T02:15", "2026-10-03T15:30Z"),
        (SANTIAGO, "2026-09-06T00:30", "2026-09-06T04:00Z"),
        (NEW_YORK, "2026-11-01T01:30", "2026-11-01T05:30Z"),
        (LORD_HOWE, "2026-04-05T01:45", "2026-04-04T14:45Z"),
        (SANTIAGO, "2026-04-04T23:30", "2026-04-05T02:30Z"),
        # their edges
        (BERLIN, "2026-03-29T01:59", "2026-03-29T00:59Z"),
        (BERLIN, "2026-03-29T02:00", "2026-03-29T01:00Z"),
        (BERLIN, "2026-03-29T03:00", "2026-03-29T01:00Z"),
        (BERLIN, "2026-10-25T02:00", "2026-10-25T00:00Z"),
        (BERLIN, "2026-10-25T03:00", "2026-10-25T02:00Z"),
        # a day that never came
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00Z"),
    ],
)
def test_a_wall_time_is_one_instant(name: str, wall: str, instant: str) -> None:
    assert local_instant(at(wall), name, "UTC") == at(instant)


@pytest.mark.parametrize("name", [None, "", "Mars/Olympus", "../etc/passwd", "Europe", "x" * 500, "\0"])
def test_a_zone_that_is_unknown_falls_back(name: str | None) -> None:
    assert local_instant(at("2026-07-01T12:00"), name, BERLIN) == at("2026-07-01T10:00Z")
    hours = QuietHours(time(11), time(13))
    assert hours.allowed_at(at("2026-07-01T10:00Z"), name, BERLIN) == at("2026-07-01T11:00Z")


@given(WALLS, st.sampled_from(ZONES))
def test_an_instant_shows_its_wall_time_or_the_first_minute_after_it(wall: datetime, name: str) -> None:
    instant, there = local_instant(wall, name, "UTC"), ZoneInfo(name)
    shown = instant.astimezone(there).replace(tzinfo=None)
    assert instant.tzinfo is UTC
    assert shown >= wall
    if shown == wall:
        assert instant.astimezone(there).fold == 0
    else:
        assert (instant - MINUTE).astimezone(there).replace(tzinfo=None) < wall


@given(near_a_change(), st.times(), st.times())
def test_quiet_hours_end_at_the_first_minute_that_is_not_quiet(
    near: tuple[str, datetime], start: time, end: time
) -> None:
    (name, instant), there = near, ZoneInfo(near[0])
    hours = QuietHours(start.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0))
    expected = instant
    while hours.hold(expected.astimezone(there).time()):
        expected += MINUTE
    assert hours.allowed_at(instant, name, "UTC") == expected
    assert expected - instant <= DAY + timedelta(hours=1)


@pytest.mark.parametrize(
    ("start", "end", "name", "instant", "allowed"),
    [
        ("22:00", "07:00", BERLIN, "2026-07-01T19:59:59Z", "2026-07-01T19:59:59Z"),
        ("22:00", "07:00", BERLIN, "2026-07-01T20:00Z", "2026-07-02T05:00Z"),
        ("22:00", "07:00", BERLIN, "2026-07-02T04:59:59.999999Z", "2026-07-02T05:00Z"),
        ("22:00", "07:00", BERLIN, "2026-07-02T05:00Z", "2026-07-02T05:00Z"),
        ("12:00", "14:00", BERLIN, "2026-07-01T10:30Z", "2026-07-01T12:00Z"),
        ("12:00", "12:00", BERLIN, "2026-07-01T10:00Z", "2026-07-01T10:00Z"),
        # over the gap, ending in it, and over the overlap
        ("22:00", "07:00", BERLIN, "2026-03-28T21:30Z", "2026-03-29T05:00Z"),
        ("22:00", "02:30", BERLIN, "2026-03-29T00:50Z", "2026-03-29T01:00Z"),
        ("22:00", "07:00", BERLIN, "2026-10-24T20:30Z", "2026-10-25T06:00Z"),
        # ends twice
        ("22:00", "02:30", BERLIN, "2026-10-25T00:10Z", "2026-10-25T00:30Z"),
        ("22:00", "02:30", BERLIN, "2026-10-25T01:10Z", "2026-10-25T01:30Z"),
        # clocks are put back to before it begins
        ("23:30", "00:15", SANTIAGO, "2026-04-05T02:40Z", "2026-04-05T03:00Z"),
    ],
)
def test_quiet_hours(start: str, end: str, name: str, instant: str, allowed: str) -> None:
    hours = QuietHours(time.fromisoformat(start), time.fromisoformat(end))
    assert hours.allowed_at(at(instant), name, "UTC") == at(allowed)


@pytest.mark.parametrize(
    ("expression", "name", "after", "instants"),
    [
        ("30 9 * * 1-5", BERLIN, "2026-07-03T07:29Z", ["2026-07-03T07:30Z", "2026-07-06T07:30Z"]),
        ("30 9 * * 1-5", BERLIN, "2026-07-03T07:30Z", ["2026-07-06T07:30Z"]),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00Z", ["2028-02-29T00:00Z", "2032-02-29T00:00Z"]),
        ("30 2 * * *", BERLIN, "2026-03-28T12:00Z", ["2026-03-29T01:00Z", "2026-03-30T00:30Z"]),
        ("30 2 * * *", BERLIN, "2026-10-24T12:00Z", ["2026-10-25T00:30Z", "2026-10-26T01:30Z"]),
        ("30 2 * * *", BERLIN, "2026-10-25T01:10Z", ["2026-10-26T01:30Z"]),
        ("*/30 * * * *", BERLIN, "2026-10-25T00:15Z", ["2026-10-25T00:30Z", "2026-10-25T01:00Z", "2026-10-25T01:30Z"]),
        ("*/30 * * * *", BERLIN, "2026-03-29T00:15Z", ["2026-03-29T00:30Z", "2026-03-29T01:00Z"]),
        ("15 2 * * *", LORD_HOWE, "2026-10-03T00:00Z", ["2026-10-03T15:30Z", "2026-10-04T15:15Z"]),
    ],
)
def test_cron(expression: str, name: str, after: str, instants: list[str]) -> None:
    found, last = [], at(after)
    for _ in instants:
        last = next_cron(expression, name, last)
        found.append(last)
    assert found == [at(one) for one in instants]


@given(
    near_a_change(), st.sampled_from(["30 2 * * *", "0,30 0-3 * * *", "*/5 * * * *", "15 */2 * * *", "7 23,0 * * *"])
)
def test_cron_goes_on_and_never_twice_within_five_minutes(near: tuple[str, datetime], expression: str) -> None:
    name, last = near
    last = next_cron(expression, name, last)
    assert near[1] < last <= near[1] + 2 * DAY
    for _ in range(5):
        following = next_cron(expression, name, last)
        assert following - last >= 5 * MINUTE
        last = following


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("", "five fields"),
        ("@daily", "five fields"),
        ("0 0 * * * *", "five fields"),
        ("0 0 * * " + "1," * 50 + "1", "five fields"),
        ("60 * * * *", "Bad minute"),
        ("a * * * *", "Bad minute"),
        ("0 0 30 2 *", "Bad day-of-month"),
        ("0 0 * 2 8", "Bad day-of-week"),
        ("* * * * *", "every 5 minutes"),
        ("*/4 * * * *", "every 5 minutes"),
        ("0,3 1 1 1 *", "every 5 minutes"),
        ("1,58 * * * *", "every 5 minutes"),
        ("1,58 0,23 * * *", "every 5 minutes"),
    ],
)
def test_a_cron_expression_is_refused(expression: str, why: str) -> None:
    for ask in (
        lambda: timing.cron(expression, "cron"),
        lambda: next_cron(expression, BERLIN, at("2026-01-01T00:00Z")),
    ):
        with pytest.raises(Invalid, match=why) as refused:
            ask()
        assert refused.value.field == "cron"


@pytest.mark.parametrize("expression", ["*/5 * * * *", "1,58 12 * * *", "0 9 * * MON#1", "0  9\t* * mon"])
def test_a_cron_expression_is_taken(expression: str) -> None:
    assert timing.cron(expression, "cron") == " ".join(expression.split())


@given(st.text(alphabet="0123456789*/,-L#MONJAW ", max_size=40))
def test_whatever_is_written_is_a_cron_expression_or_refused(expression: str) -> None:
    try:
        timing.cron(expression, "cron")
    except Invalid:
        return
    assert next_cron(expression, BERLIN, at("2026-01-01T00:00Z")) > at("2026-01-01T00:00Z")


@pytest.mark.parametrize("name", ["", " ", "Mars/Olympus", "Europe", "/etc/localtime", "..", "Europe/Berlin\0"])
def test_a_zone_that_there_is_not_is_refused(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        timing.zone(name, "timeZone")
    assert refused.value.field == "timeZone"
    with pytest.raises(Invalid):
        next_cron("0 9 * * *", name or "?", at("2026-01-01T00:00Z"))


def test_zones_are_known_without_those_of_the_system() -> None:
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[])
    ZoneInfo.clear_cache()
    try:
        assert timing.zone(BERLIN, "timeZone") == BERLIN
    finally:
        zoneinfo.reset_tzpath(to=before)
