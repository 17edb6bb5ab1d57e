"""What the address of a download asks for, by the names that GraphQL has for it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import NoReturn, TypeVar
from uuid import UUID

from starlette.datastructures import QueryParams

from core.errors import Invalid
from core.ids import parse_id

Choice = TypeVar("Choice", bound=StrEnum)


def given(parameters: QueryParams, known: Sequence[str]) -> dict[str, str]:
    """The parameters that are there; an empty one counts as absent.

    Raises:
        Invalid: one is not known, or there twice.
    """
    names = [name for name, _ in parameters.multi_items()]
    for name in names:
        if name not in known or names.count(name) > 1:
            raise Invalid(f"Ask with {', '.join(known)}, each once at most.", field=name)
    return {name: value for name, value in parameters.items() if value}


def id_(asked: Mapping[str, str], name: str) -> UUID | None:
    """An id.

    Raises:
        Invalid: it is none.
    """
    return parse_id(asked[name], name) if name in asked else None


def instant(asked: Mapping[str, str], name: str) -> datetime | None:
    """An instant.

    Raises:
        Invalid: it is none, or without offset.
    """
    if name not in asked:
        return None
    try:
        at = datetime.fromisoformat(asked[name])
        return at.astimezone(UTC) if at.tzinfo else _no_instant(name)
    except (ValueError, OverflowError):
        return _no_instant(name)


def _no_instant(name: str) -> NoReturn:
    raise Invalid(f"{name} is an instant with its offset, like 2026-01-24T10:00:00Z.", field=name)


def choice(asked: Mapping[str, str], name: str, choices: type[Choice]) -> Choice | None:
    """One of some values.

    Raises:
        Invalid: it is another one.
    """
    if name not in asked:
        return None
    if asked[name] not in set(choices):
        raise Invalid(f"{name} is one of {', '.join(choices)}.", field=name)
    return choices(asked[name])


def number(asked: Mapping[str, str], name: str) -> int | None:
    """A whole number from 0, of nine digits at most.

    Raises:
        Invalid: it is none.
    """
    if name not in asked:
        return None
    text = asked[name]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Invalid(f"{name} is a whole number.", field=name)
    return int(text)
