"""Checks of what came in. Each returns the cleaned value or names the field and the way out."""

import re
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers

from core.errors import Invalid
from core.json import encode_exactly

_POSSIBLE = phonenumbers.ValidationResult.IS_POSSIBLE
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_MAILBOX = re.compile(rf"{_ATOM}(\.{_ATOM})*@[a-z0-9-]+(\.[a-z0-9-]+)+")
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_LOCALE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_NUL = re.compile(rb"(?<!\\)(\\\\)*\\u0000")  # in written JSON: the escape itself, not a backslash and a u


def text(value: str, field: str, *, most: int, least: int = 1) -> str:
    """`value` without surrounding blanks, `least` to `most` characters long, without control characters.

    Raises:
        Invalid: otherwise.
    """
    cleaned = value.strip()
    if _CONTROL.search(cleaned):
        raise Invalid(f"{field} holds a control character; send plain text.", field=field)
    if not least <= len(cleaned) <= most:
        raise Invalid(f"{field} must have {least} to {most} characters; it has {len(cleaned)}.", field=field)
    return cleaned


def optional_text(value: str | None, field: str, *, most: int) -> str | None:
    """As `text`; None and blank are None."""
    return text(value, field, most=most) if value and value.strip() else None


def email(value: str, field: str) -> str:
    """An e-mail address, lower-cased.

    Raises:
        Invalid: it has not the form of one.
    """
    address = text(value, field, most=254).lower()
    if not _EMAIL.fullmatch(address):
        raise Invalid(f"{field} is not an e-mail address, like ada@example.com.", field=field)
    return address


def mailbox(value: str, field: str) -> str:
    """An e-mail address of the team, lower-cased: one that our own mails can be sent to.

    Raises:
        Invalid: it has not the form of one, or mail servers that know ASCII alone would refuse it.
    """
    address = email(value, field)
    if not _MAILBOX.fullmatch(address):
        raise Invalid(f"{field} cannot be written to; give a plain address, like ada@example.com.", field=field)
    return address


def phone(value: str, field: str, country: str | None = None) -> str:
    """A phone number in E.164; a national one is read as of `country` (ISO 3166 alpha-2).

    Raises:
        Invalid: it is no possible number.
    """
    try:
        number = phonenumbers.parse(text(value, field, most=40), country)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or phonenumbers.is_possible_number_with_reason(number) != _POSSIBLE:
        raise Invalid(f"{field} is not a phone number; write it as +491701234567.", field=field)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def country(value: str | None, field: str) -> str | None:
    """An ISO 3166 alpha-2 country code, upper-cased; None and blank are None.

    Raises:
        Invalid: there is no such country.
    """
    code = (value or "").strip().upper()
    if code and code not in phonenumbers.SUPPORTED_REGIONS:
        raise Invalid(f"{field} is not a country code of two letters, like DE.", field=field)
    return code or None


def colour(value: str, field: str) -> str:
    """A colour as `#RRGGBB`, upper-cased.

    Raises:
        Invalid: it is written otherwise.
    """
    if not _COLOUR.fullmatch(value):
        raise Invalid(f"{field} must be written as #RRGGBB, like #DC2626.", field=field)
    return value.upper()


def locale(value: str | None, field: str) -> str | None:
    """A language tag like `en` or `pt-BR`; None and blank are None.

    Raises:
        Invalid: it has not the form of one.
    """
    tag = (value or "").strip()
    if tag and not _LOCALE.fullmatch(tag):
        raise Invalid(f"{field} is not a language tag, like en or pt-BR.", field=field)
    return tag or None


def time_zone(value: str | None, field: str) -> str | None:
    """An IANA zone name like `Europe/Berlin`; None and blank are None.

    Raises:
        Invalid: there is no such zone.
    """
    name = (value or "").strip()
    if not name:
        return None
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, LookupError):
        raise Invalid(f"{field} is not a time zone, like Europe/Berlin.", field=field) from None


def json_object(value: Any, field: str, *, most_bytes: int = 4096) -> dict[str, Any] | None:
    """A JSON object of at most `most_bytes` when written out; None stays None.

    Raises:
        Invalid: it is another kind of value, too large, or would not come back as it is.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Invalid(f'{field} must be a JSON object, like {{"key": "value"}}.', field=field)
    try:
        written = encode_exactly(value)
    except ValueError as error:
        raise Invalid(f"{field} {error}.", field=field) from None
    if len(written) > most_bytes:
        raise Invalid(f"{field} must be at most {most_bytes} bytes as JSON; it has {len(written)}.", field=field)
    if _NUL.search(written):
        raise Invalid(f"{field} holds a NUL character; send plain text.", field=field)
    return value


def at_most(values: list[Any], field: str, most: int) -> None:
    """Refuse a list longer than `most`.

    Raises:
        Invalid: it is longer.
    """
    if len(values) > most:
        raise Invalid(f"{field} may hold at most {most} entries; it has {len(values)}.", field=field)
