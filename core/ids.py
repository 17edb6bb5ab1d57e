"""Identifiers: UUID version 7 (RFC 9562), made in the application, ordered by time of making."""

from uuid import UUID

import uuid_utils

from core.errors import Invalid


def new_id() -> UUID:
    """A fresh UUIDv7. Ordered by creation time; an identifier, never a secret."""
    return UUID(int=uuid_utils.uuid7().int)


def parse_id(value: object, field: str = "id") -> UUID:
    """The UUID written in `value`.

    Raises:
        Invalid: `value` is no UUID; the error names `field`.
    """
    try:
        return UUID(str(value))
    except ValueError:
        raise Invalid(f"{field} is not a valid id; ids are UUIDs.", field=field) from None


def parse_optional_id(value: object, field: str) -> UUID | None:
    """The UUID written in `value`; None when there is no value.

    Raises:
        Invalid: `value` is no UUID; the error names `field`.
    """
    return None if value is None else parse_id(value, field)
