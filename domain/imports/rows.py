"""From a record to a contact, by the rules that every contact keeps."""

from dataclasses import dataclass
from typing import Any

from core.errors import Invalid
from domain import contacts
from domain.contacts import ContactFields
from domain.imports.columns import KEYS, PLATFORM, Columns
from domain.imports.table import Record
from models.devices import Platform

TAG_DELIMITER = ";"
KEYLESS = "The row has no external id, no e-mail and no phone, so it could not be recognised when it comes again."
PLATFORMS = ", ".join(Platform)


@dataclass(frozen=True)
class Key:
    """What a contact is recognised by: `external_id`, `emails` or `phones`, and its value."""

    kind: str
    value: str


@dataclass(frozen=True)
class Row:
    """A record that keeps the rules.

    Attributes:
        record: where it comes from.
        key: what it is recognised by.
        fields: all fields of a contact, as stored.
        platform: of the device that the contact should have.
    """

    record: Record
    key: Key
    fields: dict[str, Any]
    platform: Platform | None


def read_row(record: Record, columns: Columns, country: str | None = None) -> Row:
    """The contact of a record.

    Args:
        record: a row of the file.
        columns: what its cells are.
        country: ISO 3166 alpha-2, for national phone numbers of rows that name no country.

    Raises:
        Invalid: the record breaks a rule; the message names the column.
    """
    known, attributes = _filled(record, columns)
    try:
        fields = _clean(known, attributes, country)
        platform = _platform(known.get(PLATFORM))
    except Invalid as error:
        raise Invalid(_with_column(error, columns)) from None
    return Row(record, _key(fields), fields, platform)


def _filled(record: Record, columns: Columns) -> tuple[dict[str, str], dict[str, str]]:
    """The cells that are not blank: of known columns by field, of the others by name."""
    if record.fault:
        raise Invalid(record.fault)
    width = len(columns.names)
    if len(record.cells) < width or any(cell.strip() for cell in record.cells[width:]):
        raise Invalid(f"The row has {len(record.cells)} cells; the header has {width}.")
    known: dict[str, str] = {}
    attributes: dict[str, str] = {}
    for name, field, cell in zip(columns.names, columns.fields, record.cells[:width], strict=True):
        if value := cell.strip():
            (known if field else attributes)[field or name] = value
    return known, attributes


def _clean(known: dict[str, str], attributes: dict[str, str], country: str | None) -> dict[str, Any]:
    fields: ContactFields = {
        "external_id": known.get("external_id"),
        "name": known.get("name"),
        "emails": _single(known.get("emails")),
        "phones": _single(known.get("phones")),
        "locale": known.get("locale"),
        "time_zone": known.get("time_zone"),
        "country": known.get("country", country),
        "plan": known.get("plan"),
        "tags": [tag for tag in known.get("tags", "").split(TAG_DELIMITER) if tag.strip()],
        "attributes": attributes,
    }
    cleaned = contacts.clean(fields)
    return cleaned if "country" in known else cleaned | {"country": None}


def _single(value: str | None) -> list[str]:
    return [value] if value else []


def _platform(value: str | None) -> Platform | None:
    """Raises Invalid when there is no such platform."""
    if value is None:
        return None
    if value.upper() not in Platform.__members__:
        raise Invalid(f"{PLATFORM} is none of {PLATFORMS}.", field=PLATFORM)
    return Platform[value.upper()]


_GRAPHQL_NAMES = {"externalId": "external_id", "timeZone": "time_zone"}


def _with_column(error: Invalid, columns: Columns) -> str:
    """The message with the name of the column instead of the field's, e.g. `emails.0`."""
    at = error.field or ""
    head = at.partition(".")[0]
    name = columns.name_of(_GRAPHQL_NAMES.get(head, head))
    return error.message.replace(at, f'Column "{name}"', 1) if name else error.message


def _key(fields: dict[str, Any]) -> Key:
    for kind in KEYS:
        if value := fields[kind]:
            return Key(kind, value if isinstance(value, str) else value[0])
    raise Invalid(KEYLESS)
