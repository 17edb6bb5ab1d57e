"""Scalars of our own: an instant is RFC 3339 in UTC; local times and dates have no zone; JSON is any value.

JSON is used where the shape is the app's own.
"""

import re
from datetime import UTC, date, datetime, time
from typing import NewType

import strawberry
from graphql import GraphQLError
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

_HINT = "Give an RFC 3339 instant with its offset, like 2026-01-24T10:00:00Z."
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LOCAL_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def _write(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _read(value: object) -> datetime:
    """An instant with its offset; a time without one would be a guess."""
    if not isinstance(value, str) or len(value) > 40:
        raise GraphQLError(_HINT)
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is None:
            raise GraphQLError(_HINT)
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise GraphQLError(_HINT) from None


LocalDateTime = NewType("LocalDateTime", datetime)
_WALL_HINT = "Give a time on the wall, without an offset, like 2030-01-24T10:00:00."


def _read_wall(value: object) -> datetime:
    """A time on the wall; one with an offset is an instant."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) and len(value) <= 40 else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is not None:
        raise GraphQLError(_WALL_HINT)
    return at


def _read_time(value: object) -> time:
    """A wall time to the minute."""
    if not isinstance(value, str) or not _LOCAL_TIME.fullmatch(value):
        raise GraphQLError("Give a local time from 00:00 to 23:59, like 22:30.")
    return time.fromisoformat(value)


def _read_date(value: object) -> date:
    """A day of the calendar."""
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise GraphQLError("Give a date, like 2026-12-25.")


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="An instant in RFC 3339, answered in UTC with milliseconds, like 2026-01-24T10:00:00.000Z.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
        serialize=_write,
        parse_value=_read,
    ),
    LocalDateTime: strawberry.scalar(
        name="LocalDateTime",
        description="A time on the wall, in whichever time zone, like 2030-01-24T10:00:00.",
        specified_by_url="https://scalars.graphql.org/andimarek/local-date-time",
        serialize=lambda value: value.isoformat(timespec="seconds"),
        parse_value=_read_wall,
    ),
    time: strawberry.scalar(
        name="LocalTime",
        description="A time on the clock of whoever it is for, to the minute: HH:MM, from 00:00 to 23:59.",
        specified_by_url="https://the-guild.dev/graphql/scalars/docs/scalars/local-time",
        serialize=lambda value: value.isoformat("minutes"),
        parse_value=_read_time,
    ),
    date: strawberry.scalar(
        name="LocalDate",
        description="A day of the calendar, in whichever time zone, like 2026-12-25.",
        specified_by_url="https://the-guild.dev/graphql/scalars/docs/scalars/local-date",
        serialize=date.isoformat,
        parse_value=_read_date,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value; where only an object will do, the field says so.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=lambda value: value,
        parse_value=lambda value: value,
    ),
}
