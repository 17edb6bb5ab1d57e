"""When an app is open."""

from datetime import date, datetime, time
from typing import Annotated

import strawberry

from core.clock import now
from domain.settings import hours
from domain.settings.changing import SettingsFields
from schema.views import optional, plain, view
from schema.weekdays import Weekday

At = Annotated[
    datetime | None, strawberry.argument(description="The instant, of the years 1970 to 2200; now, when left out.")
]


@view(hours.Interval, description="Times on the clock at which the app is open, from one on and before the other.")
class OpeningInterval:
    """An interval."""

    opens: time = plain("From then on.")
    closes: time = plain("Until before then; 00:00 is the end of the day.")


@view(hours.OpenDay, description="The hours of a day of the week.")
class OpenDay:
    """A weekday."""

    weekday: Weekday = plain("Which.")
    intervals: list[OpeningInterval] = plain("In their order; none when it is closed.")


@view(hours.Holiday, description="A date with hours of its own, which stand in for those of its weekday.")
class Holiday:
    """A holiday."""

    day: date = plain("Which.")
    name: str = plain("What it is called.")
    intervals: list[OpeningInterval] = plain("In their order; none when it is closed.")


@view(hours.BusinessHours, description="When the app is open, by the clocks of its time zone.")
class BusinessHours:
    """Business hours."""

    time_zone: str = plain("IANA name: that of the app.")
    weekly: list[OpenDay] | None = plain("The seven days from MONDAY on; null: around the clock, but for holidays.")
    holidays: list[Holiday] = plain("By their dates.")

    @strawberry.field(description="Whether it is open.")
    def is_open(row: strawberry.Parent[hours.BusinessHours], at: At = None) -> bool:
        """At an instant."""
        return row.is_open(at or now())

    @strawberry.field(
        description="The first instant from `at` on at which it is open: `at` itself when it is open then; null when it"
        " does not open within a year."
    )
    def next_opening(row: strawberry.Parent[hours.BusinessHours], at: At = None) -> datetime | None:
        """From an instant on."""
        return row.next_opening(at or now())


@strawberry.input(description="Times on the clock at which the app is open.")
class OpeningIntervalInput:
    """An interval."""

    opens: time = plain("From then on.")
    closes: time = plain("Until before then, on the same day; 00:00 is its end.")

    def interval(self) -> hours.Interval:
        """As the rules take it."""
        return hours.Interval(self.opens, self.closes)


@strawberry.input(description="The hours of a day of the week.")
class OpenDayInput:
    """A weekday."""

    weekday: Weekday = plain("Which.")
    intervals: list[OpeningIntervalInput] = plain("10 at most that do not overlap; none: it is closed.")

    def day(self) -> hours.OpenDay:
        """As the rules take it."""
        return hours.OpenDay(self.weekday, [one.interval() for one in self.intervals])


@strawberry.input(description="A date with hours of its own.")
class HolidayInput:
    """A holiday."""

    day: date = plain("Which.")
    name: str = plain("1 to 60 characters.")
    intervals: list[OpeningIntervalInput] = strawberry.field(
        default_factory=list, description="10 at most that do not overlap; none: it is closed."
    )

    def holiday(self) -> hours.Holiday:
        """As the rules take it."""
        return hours.Holiday(self.day, self.name, [one.interval() for one in self.intervals])


@strawberry.input(description="Business hours that change. What is left out stays; a list replaces the one before.")
class BusinessHoursInput:
    """Hours."""

    weekly: strawberry.Maybe[list[OpenDayInput] | None] = plain(
        "The days of the week, each once; those left out are closed. null: around the clock."
    )
    holidays: list[HolidayInput] | None = optional("100 at most, each date once.")

    def given(self) -> SettingsFields:
        """The hours that the client wrote."""
        given: SettingsFields = {}
        if self.weekly:
            given["weekly"] = None if self.weekly.value is None else [one.day() for one in self.weekly.value]
        if self.holidays is not None:
            given["holidays"] = [one.holiday() for one in self.holidays]
        return given
