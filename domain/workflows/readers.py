"""Readers of the values that configs are made of."""

import re
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from core.addresses import parse_url
from core.errors import Invalid
from core.ids import parse_id
from domain import checks, templates, timing
from domain.segments import conditions, times
from domain.segments.conditions import Condition, Field
from domain.workflows import configs
from domain.workflows.configs import Config, Named, Reader, Reference, Shape
from domain.workflows.problems import ProblemCode, Refused

NAME_MOST = 100
LONGEST_WAIT = timedelta(days=365)
JSON_MOST = 16_384
LIST_MOST = 20
HEADERS_MOST = 20
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
# What the client of webhooks says by itself.
_OWN_HEADERS = frozenset(
    {"connection", "content-length", "content-encoding", "host", "transfer-encoding", "upgrade", "te", "trailer"}
)
_PLACEHOLDER = "{{"
_PLACE = re.compile(r"https?://[^/?#]+[/?#].*", re.DOTALL)


def _string(value: object, at: str) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{at} must be text.", field=at)
    return value


def text(most: int = NAME_MOST) -> Reader:
    """A text of 1 to `most` characters."""
    return Reader(Shape.TEXT, lambda value, at: checks.text(_string(value, at), at, most=most))


def template(most: int = templates.TEXT_MOST) -> Reader:
    """A text with placeholders."""
    return Reader(Shape.TEXT, lambda value, at: checks.text(_string(value, at), at, most=most), templated=True)


def integer(least: int, most: int) -> Reader:
    """A whole number."""
    return Reader(Shape.INTEGER, partial(_integer, least, most))


def _integer(least: int, most: int, value: object, at: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Invalid(f"{at} must be a whole number from {least} to {most}.", field=at)
    return value


def _duration(value: object, at: str) -> times.Duration:
    found = times.duration(value, at)
    if found.delta > LONGEST_WAIT:
        raise Invalid(f"{at} must be at most {LONGEST_WAIT.days} days.", field=at)
    return found


DURATION = Reader(Shape.TEXT, _duration, str)
"""3d, 2h, 30m, 45s, or ISO 8601 like P7D; 365 days at most."""
TIME_ZONE = Reader(Shape.TEXT, lambda value, at: timing.zone(_string(value, at), at))
CRON = Reader(Shape.TEXT, lambda value, at: timing.cron(_string(value, at), at))


def _time(value: object, at: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
        raise Invalid(f"{at} must be a local time from 00:00 to 23:59, like 09:30.", field=at)
    return value


TIME = Reader(Shape.TEXT, _time)


def reference(kind: Reference) -> Reader:
    """The id of a thing of the app."""
    return Reader(Shape.ID, parse_id, str, names=lambda id_: [Named(kind, id_)])


def choice(kind: type[StrEnum]) -> Reader:
    """One of the values of an enum, in upper or lower case."""
    return Reader(Shape.CHOICE, partial(_choice, kind), str, of=kind)


def _choice(kind: type[StrEnum], value: object, at: str) -> StrEnum:
    found = next((one for one in kind if isinstance(value, str) and one.value == value.upper()), None)
    if found is None:
        raise Invalid(f"{at} must be one of {', '.join(kind)}.", field=at)
    return found


def choices(kind: type[StrEnum]) -> Reader:
    """A list of values of an enum, one at least, none twice."""
    return Reader(Shape.CHOICES, partial(_choices, kind), list, of=kind)


def _choices(kind: type[StrEnum], value: object, at: str) -> tuple[StrEnum, ...]:
    several = _list(value, at, len(kind))
    return tuple(dict.fromkeys(_choice(kind, one, f"{at}.{no}") for no, one in enumerate(several)))


def _list(value: object, at: str, most: int) -> list[Any]:
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise Invalid(f"{at} must be a list of 1 to {most} entries.", field=at)
    return value


def _json_object(value: object, at: str) -> dict[str, Any]:
    return checks.json_object(value, at, most_bytes=JSON_MOST) or {}


JSON = Reader(Shape.JSON, _json_object, templated=True)
"""A JSON object whose texts may hold placeholders."""


def _headers(value: object, at: str) -> dict[str, Any]:
    found = _json_object(value, at)
    checks.at_most(list(found), at, HEADERS_MOST)
    for name, said in found.items():
        if not _HEADER.fullmatch(name) or name.lower() in _OWN_HEADERS:
            raise Invalid(f"{at} must not have a header of this name: {name[:NAME_MOST]}.", field=at)
        if not isinstance(said, str) or not said.isprintable() or len(said) > templates.TEXT_MOST:
            raise Invalid(f"{at}.{name} must be plain text on one line.", field=at)
    return found


HEADERS = Reader(Shape.JSON, _headers, templated=True)
"""Headers of a request by name."""


def _url(value: object, at: str) -> str:
    """A URL that requests may go to, as far as it tells itself. Placeholders stand behind the host alone."""
    address = checks.text(_string(value, at), at, most=2_000)
    fixed, is_templated, _ = address.partition(_PLACEHOLDER)
    if is_templated and not _PLACE.fullmatch(fixed):
        raise Invalid(f"{at} may hold placeholders in its path and its query only.", field=at)
    pieces = templates.compile(address, at).pieces
    try:
        parse_url("".join(piece if isinstance(piece, str) else "x" for piece in pieces))
    except ValueError as error:
        raise Refused(ProblemCode.ADDRESS_BLOCKED, f"{at} {error}.", field=at) from None
    return address


URL = Reader(Shape.TEXT, _url, templated=True)


def _broadcasts(condition: Condition) -> Iterable[Named]:
    return [Named(Reference.BROADCAST, id_) for id_ in sorted(conditions.broadcast_ids(condition))]


CONDITION = Reader(Shape.CONDITION, conditions.parse, conditions.dump, names=_broadcasts)
"""A condition on the contact, as of segments."""


def _comparisons(value: object, at: str) -> tuple[Field, ...]:
    given = enumerate(_list(value, at, LIST_MOST))
    return tuple(conditions.parse_property(one, f"{at}.{no}") for no, one in given)


COMPARISONS = Reader(Shape.COMPARISONS, _comparisons, lambda several: [conditions.dump(one) for one in several])
"""Comparisons of properties of an event, every one of which holds."""


def several(kind: type[Config], most: int = LIST_MOST) -> Reader:
    """A list of configs."""
    return Reader(Shape.CONFIGS, partial(_several, kind, most), of=kind)


def _several(kind: type[Config], most: int, value: object, at: str) -> tuple[Config, ...]:
    return tuple(_one(kind, one, f"{at}.{no}") for no, one in enumerate(_list(value, at, most)))


def _one(kind: type[Config], value: object, at: str) -> Config:
    config, problems = configs.read(kind, value if isinstance(value, dict) else {}, at)
    if config is None:
        raise Refused(problems[0].code, problems[0].message, field=problems[0].field or at)
    return config
