"""Configs of nodes and triggers: dataclasses whose fields say how they are read from JSON and what they mean.

The API makes its inputs and types from the same declarations, so a kind of node is told once.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from core.errors import Invalid
from domain.workflows.problems import Problem, ProblemCode, of_error

MISSING = dataclasses.MISSING
READER, DESCRIPTION, NAME = "reader", "description", "name"


class Shape(Enum):
    """What a field of a config is to the API."""

    TEXT = auto()
    INTEGER = auto()
    ID = auto()
    JSON = auto()
    TIME = auto()
    CHOICE = auto()
    CHOICES = auto()
    CONDITION = auto()
    COMPARISONS = auto()
    CONFIGS = auto()


class Reference(StrEnum):
    """What a config can name by its id."""

    SEGMENT = "segment"
    LABEL = "label"
    BROADCAST = "broadcast"
    USER = "member of the team"


class Named(NamedTuple):
    """A thing that a config names."""

    kind: Reference
    id: UUID


def _as_it_is(value: Any) -> Any:
    return value


def _nothing(_value: Any) -> Iterable[Named]:
    return ()


@dataclass(frozen=True)
class Reader:
    """How a field is read.

    Attributes:
        shape: what it is to the API.
        read: takes the JSON and its place; raises Invalid.
        write: the value as JSON.
        of: the enum of a choice, the config class of configs.
        templated: whether its texts may hold placeholders.
        names: the things that a value names.
    """

    shape: Shape
    read: Callable[[object, str], Any]
    write: Callable[[Any], Any] = _as_it_is
    of: type[Any] | None = None
    templated: bool = False
    names: Callable[[Any], Iterable[Named]] = _nothing


class Config:
    """Base of all configs."""

    def refuse(self, at: str) -> None:
        """Raise Invalid when fields that are right alone do not fit together; `at` is the place of the config."""

    def variables(self) -> Iterable[tuple[str, str]]:
        """Names of fields, and variables that they use besides those in placeholders."""
        return ()


C = TypeVar("C", bound=Config)


def said(description: str, reader: Reader, default: Any = MISSING, name: str | None = None) -> Any:
    """A field of a config.

    Args:
        description: what it means.
        reader: how it is read.
        default: what it is when it is left out; without one it may not be.
        name: what the API calls it, when another kind has a field of this name and of another type.
    """
    told = {DESCRIPTION: description, READER: reader, NAME: name}
    return dataclasses.field(default=default, kw_only=True, metadata=told)


def fields(kind: type[Config]) -> Iterable[tuple[dataclasses.Field[Any], Reader]]:
    """The fields of a config with their readers."""
    return [(one, one.metadata[READER]) for one in dataclasses.fields(kind)]  # type: ignore[arg-type]


def read(kind: type[C], json: Mapping[str, Any], at: str) -> tuple[C | None, list[Problem]]:
    """The config that `json` is, and all that is wrong with it; None when anything is.

    Args:
        kind: which config.
        json: null is as good as left out.
        at: where it stands.
    """
    values: dict[str, Any] = {}
    problems = _unknown(kind, json, at)
    for field, reader in fields(kind):
        there = f"{at}.{field.name}"
        if (value := json.get(field.name)) is None:
            problems += _missing(field, there)
            continue
        try:
            values[field.name] = reader.read(value, there)
        except Invalid as error:
            problems.append(of_error(error))
    return (None, problems) if problems else _whole(kind, values, at)


def _unknown(kind: type[Config], json: Mapping[str, Any], at: str) -> list[Problem]:
    """Keys that mean nothing are mistyped, and meant something."""
    known = [field.name for field, _ in fields(kind)]
    said_so = f"there are {', '.join(known)}."
    return [
        Problem(ProblemCode.CONFIG_UNKNOWN, f"{at}.{key} means nothing here; {said_so}", field=f"{at}.{key}")
        for key in json
        if key not in known
    ]


def _missing(field: dataclasses.Field[Any], there: str) -> list[Problem]:
    if field.default is not MISSING:
        return []
    meaning = field.metadata[DESCRIPTION]
    return [Problem(ProblemCode.CONFIG_MISSING, f"{there} is missing. {meaning}", field=there)]


def _whole(kind: type[C], values: dict[str, Any], at: str) -> tuple[C | None, list[Problem]]:
    config = kind(**values)
    try:
        config.refuse(at)
    except Invalid as error:
        return None, [of_error(error)]
    return config, []


def names(config: Config) -> Iterable[tuple[str, Named]]:
    """The things that a config names, with the fields that do."""
    for field, reader in fields(type(config)):
        value = getattr(config, field.name)
        for named in reader.names(value) if value is not None else ():
            yield field.name, named


def templated(config: Config) -> Iterable[tuple[str, str]]:
    """The texts of a config that may hold placeholders, with their fields."""
    for field, reader in fields(type(config)):
        if reader.templated:
            for text in texts(getattr(config, field.name)):
                yield field.name, text


def texts(value: Any) -> Iterable[str]:
    """All texts within JSON, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)
