"""Inputs and types of the configs of nodes and triggers, made from the declarations of `domain.workflows`.

A new kind of node needs nothing here: its fields, its description and its place in the table say it all.
"""

from collections.abc import Callable, Iterable
from enum import Enum
from functools import cache
from typing import Annotated, Any, NamedTuple, Union

import strawberry
from strawberry.scalars import JSON

import schema.weekdays  # noqa: F401 - has the days of the week described, which a config may name
from domain.workflows import configs, triggers
from domain.workflows.configs import DESCRIPTION, MISSING, NAME, Config, Reader, Shape
from domain.workflows.nodes import table
from domain.workflows.nodes.webhook import WebhookMethod
from schema.segments import SegmentConditionInput, SegmentPropertyInput
from schema.views import ROWS, described, plain

described(
    WebhookMethod,
    "How a server is called.",
    GET="To read; without a body.",
    POST="To have something done.",
    PUT="To replace something.",
    PATCH="To change something.",
    DELETE="To remove something.",
)
_SIMPLE: dict[Shape, Any] = {Shape.TEXT: str, Shape.INTEGER: int, Shape.ID: strawberry.ID, Shape.JSON: JSON}


class Alternative(NamedTuple):
    """A kind, and what it is called."""

    name: str
    config: type[Config]
    description: str


def _input(reader: Reader) -> Any:
    """The GraphQL type by which a field comes in."""
    if reader.shape is Shape.CONDITION:
        return SegmentConditionInput
    if reader.shape is Shape.COMPARISONS:
        return list[SegmentPropertyInput]
    return _given(reader) or _list_of(input_of(_config_of(reader)))


def _config_of(reader: Reader) -> Any:
    """The config class of a reader of configs."""
    return reader.of


def _list_of(kind: Any) -> Any:
    return list[kind]


def _given(reader: Reader) -> Any:
    """The type of what is the same in both directions."""
    if reader.shape is Shape.CHOICE:
        return reader.of
    return _list_of(reader.of) if reader.shape is Shape.CHOICES else _SIMPLE.get(reader.shape)


def _output(reader: Reader) -> Any:
    """The GraphQL type by which a field goes out: trees are JSON."""
    if reader.shape is Shape.CONFIGS:
        kind = _config_of(reader)
        return _list_of(type_of(kind, _name(kind), _about(kind)))
    return _given(reader) or JSON


def _name(kind: type[Config]) -> str:
    return f"Workflow{kind.__name__}"


def _about(kind: type[Config]) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def tree(given: Any) -> Any:
    """An input as JSON, as definitions are read from it; what was left out is left out."""
    if isinstance(given, list):
        return [tree(one) for one in given]
    if isinstance(given, Enum):
        return given.value
    if hasattr(given, "tree"):
        return given.tree()
    if hasattr(given, "__strawberry_definition__"):
        return {name: tree(one) for name, one in vars(given).items() if one is not None}
    return given


@cache
def input_of(kind: type[Config]) -> type[Any]:
    """The input that sets a config."""
    annotations: dict[str, Any] = {}
    members: dict[str, Any] = {"__doc__": kind.__doc__, "__module__": __name__}
    for field, reader in configs.fields(kind):
        optional = field.default is not MISSING
        annotations[field.name] = _input(reader) | None if optional else _input(reader)
        said: dict[str, Any] = {"name": field.metadata[NAME], "description": field.metadata[DESCRIPTION]}
        members[field.name] = strawberry.field(default=None if optional else MISSING, **said)
    cls = type(f"{_name(kind)}Input", (), {**members, "__annotations__": annotations})
    return strawberry.input(cls, description=_about(kind))


def one_of(name: str, alternatives: Iterable[Alternative], description: str) -> type[Any]:
    """The input that is exactly one of several kinds."""
    members: dict[str, Any] = {"__module__": __name__, "__annotations__": {}}
    for kind in alternatives:
        config: Any = kind.config
        maybe: Any = strawberry.Maybe
        members[kind.name] = plain(kind.description)
        members["__annotations__"][kind.name] = maybe[input_of(config)]
    return strawberry.input(type(name, (), members), one_of=True, description=description)


def chosen(given: Any) -> tuple[str, dict[str, Any]]:
    """Which kind an input of `one_of` is, and its config as JSON."""
    ((name, some),) = ((name, some) for name, some in vars(given).items() if some is not None)
    return name, tree(some.value)


@cache
def type_of(kind: type[Config], name: str, description: str) -> type[Any]:
    """The type that shows a config."""
    members: dict[str, Any] = {"__doc__": kind.__doc__, "__module__": __name__}
    for field, reader in configs.fields(kind):
        shown = _output(reader) if field.default is MISSING or field.default is not None else _output(reader) | None
        members[field.name] = strawberry.field(
            resolver=_shown(field.name, reader),
            graphql_type=shown,
            name=field.metadata[NAME],
            description=field.metadata[DESCRIPTION],
        )
    members["is_type_of"] = classmethod(lambda _cls, found, _info: isinstance(found, kind))
    cls = strawberry.type(type(name, (), members), description=description)
    ROWS[cls] = kind
    return cls


def _shown(name: str, reader: Reader) -> Callable[[Any], Any]:
    def show(root: Any) -> Any:
        value = getattr(root, name)
        return None if value is None else reader.write(value)

    return show


def union_of(name: str, alternatives: Iterable[Alternative], suffix: str, description: str) -> Any:
    """The union of the types of several kinds."""
    several: list[tuple[Any, str]] = [(one.config, one.description) for one in alternatives]
    types = [type_of(config, f"{_name(config)}{suffix}", about) for config, about in several]
    return Annotated[Union[tuple(types)], strawberry.union(name, description=description)]  # noqa: UP007


NODES = [Alternative(kind.name, kind.config, kind.description) for kind in table.KINDS.values()]
TRIGGERS = [Alternative(kind.name.value, kind.config, kind.description) for kind in triggers.KINDS.values()]
WorkflowNodeConfigInput = one_of(
    "WorkflowNodeConfigInput", NODES, "What a node does, and how: exactly one of the kinds there are."
)
WorkflowTriggerInput = one_of(
    "WorkflowTriggerInput", TRIGGERS, "What lets contacts in: exactly one of the kinds there are."
)
WorkflowNodeConfig = union_of("WorkflowNodeConfig", NODES, "Config", "What a node does, and how.")
WorkflowTrigger = union_of("WorkflowTrigger", TRIGGERS, "Trigger", "What lets contacts in.")
