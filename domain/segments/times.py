"""Times in conditions: instants, instants relative to the moment of asking, and durations."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.errors import Invalid

LONGEST = timedelta(days=36_500)
_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SHORT = re.compile(r"([0-9]{1,10})([dhms])")
_ISO = re.compile(
    r"P(?:([0-9]{1,5})W)?(?:([0-9]{1,5})D)?(?:T(?=[0-9])(?:([0-9]{1,7})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,10})S)?)?"
)
_ISO_UNITS = (604_800, 86_400, 3_600, 60, 1)
_RELATIVE = re.compile(r"now\(\)(?:\s*([+-])\s*(\S+))?")
_DATE = (
    "(?:(?:19|20)[0-9]{2}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    "|(?:(?:19|20)(?:0[48]|[2468][048]|[13579][26])|2000)-02-29)"
)
_TIME = r"T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
INSTANT = f"^{_DATE}(?:{_TIME})?$"
"""Texts that are instants: an RFC 3339 one of the years 1900 to 2099, or a date, which is its first moment in UTC.

It stands for the same texts to Python and to PostgreSQL, and each of them is a valid time to both.
"""
DATE_LENGTH, MIDNIGHT = len("2026-01-24"), "T00:00:00Z"
_INSTANT = re.compile(INSTANT.removeprefix("^").removesuffix("$"))


@dataclass(frozen=True)
class Duration:
    """A length of time in whole seconds."""

    seconds: int

    @property
    def delta(self) -> timedelta:
        """As Python reckons with it."""
        return timedelta(seconds=self.seconds)

    def __str__(self) -> str:
        unit = next(unit for unit, size in _UNITS.items() if self.seconds % size == 0)
        return f"{self.seconds // _UNITS[unit]}{unit}"


@dataclass(frozen=True)
class Relative:
    """An instant some whole seconds after the moment of asking, before it when negative."""

    seconds: int

    def __str__(self) -> str:
        sign = "+" if self.seconds > 0 else "-"
        return f"now() {sign} {Duration(abs(self.seconds))}" if self.seconds else "now()"


Instant = datetime | Relative


def duration(value: object, at: str) -> Duration:
    """A duration like `3d`, `2h`, `30m`, `45s`, or ISO 8601 without years and months; 1 second to 100 years.

    Raises:
        Invalid: it is none; names `at`.
    """
    seconds = _seconds(value) if isinstance(value, str) else None
    if not seconds or timedelta(seconds=seconds) > LONGEST:
        raise Invalid(f"{at} must be a duration of 1 second to 100 years, like 3d, 2h, 30m, 45s or P7D.", field=at)
    return Duration(seconds)


def _seconds(text: str) -> int | None:
    if short := _SHORT.fullmatch(text):
        return int(short[1]) * _UNITS[short[2]]
    long = _ISO.fullmatch(text)
    return sum(int(part or 0) * size for part, size in zip(long.groups(), _ISO_UNITS, strict=True)) if long else None


def instant(value: object, at: str) -> Instant:
    """An instant: RFC 3339 with its offset, a date (its first moment in UTC), `now()`, or `now() - 7d`.

    Raises:
        Invalid: it is none; names `at`.
    """
    if isinstance(value, str):
        if relative := _RELATIVE.fullmatch(value):
            return _relative(relative[1], relative[2], at)
        if (found := absolute(value)) is not None:
            return found
    raise Invalid(f"{at} must be an instant like 2026-01-24T10:00:00Z, a date, or now() - 7d.", field=at)


def _relative(sign: str | None, length: str | None, at: str) -> Relative:
    seconds = duration(length, at).seconds if sign else 0
    return Relative(-seconds if sign == "-" else seconds)


def absolute(text: str) -> datetime | None:
    """The instant that `text` is; None when it is none."""
    if not _INSTANT.fullmatch(text):
        return None
    return datetime.fromisoformat(text + MIDNIGHT if len(text) == DATE_LENGTH else text).astimezone(UTC)


def resolved(when: Instant, now: datetime) -> datetime:
    """The instant that is meant when it is asked for at `now`."""
    return now + timedelta(seconds=when.seconds) if isinstance(when, Relative) else when


def written(when: Instant) -> str:
    """An instant as it stands in a condition."""
    return str(when) if isinstance(when, Relative) else when.astimezone(UTC).isoformat().replace("+00:00", "Z")
