"""How a GraphQL type is declared over the row it shows, and how enums of the models get their descriptions."""

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition
from typing_extensions import dataclass_transform

T = TypeVar("T")
E = TypeVar("E", bound=type[Enum])

ROWS: dict[type, type] = {}


@dataclass_transform(field_specifiers=(strawberry.field,))
def view(row: type, *, description: str) -> Callable[[type[T]], type[T]]:
    """A type whose plain fields are attributes of `row`. No object of the type is ever made: rows flow out."""

    def declare(cls: type[T]) -> type[T]:
        ROWS[cls] = row
        return strawberry.type(cls, description=description)

    return declare


def described(kind: E, description: str, **values: str) -> E:
    """Declare an enum to GraphQL with a description for each of its values.

    Raises:
        KeyError: a value has no description.
    """
    strawberry.enum(kind, description=description)
    definition: StrawberryEnumDefinition = kind.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values[value.name]
    return kind


def idempotency_field() -> Any:
    """The key of a request that may arrive twice; left out when it need not be."""
    return strawberry.field(
        default=None,
        description="A text of your choice. The same request with the same key is done once, however often it arrives.",
    )


def optional(description: str) -> Any:
    """A field of an input that may be left out; then it is null."""
    return strawberry.field(default=None, description=description)


def plain(description: str) -> Any:
    """A field that is an attribute of the row."""
    return strawberry.field(description=description)
