"""Scalars of our own: an instant is RFC 3339 in UTC; JSON is any value, used where the shape is the app's own."""

from datetime import UTC, datetime

import strawberry
from graphql import GraphQLError
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

_HINT = "Give an RFC 3339 instant with its offset, like 2026-01-24T10:00:00Z."


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


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="An instant in RFC 3339, answered in UTC with milliseconds, like 2026-01-24T10:00:00.000Z.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
        serialize=_write,
        parse_value=_read,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value; where only an object will do, the field says so.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=lambda value: value,
        parse_value=lambda value: value,
    ),
}
