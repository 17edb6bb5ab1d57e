"""The root fields of the schema, and operations that ask for one of them with whatever arguments a test wants."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLOutputType,
    get_named_type,
    get_nullable_type,
    is_enum_type,
    is_input_object_type,
    is_leaf_type,
    is_list_type,
    is_object_type,
    is_required_argument,
    is_required_input_field,
    is_union_type,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter

from core.ids import new_id
from domain.permissions import Permission
from schema.permissions import Requires
from server.graphql.schema import schema
from tests.support.graph import Graph

GRAPH = schema()._schema
SCALARS = {"String": "text", "Int": 1, "Float": 1.0, "Boolean": False, "DateTime": "2100-01-01T00:00:00Z", "JSON": {}}
# Where JSON is one of several alternatives, it is a condition on contacts.
CONDITION = {"field": "name", "operator": "exists"}
ENUMS = {"TargetType": "SPECIFIC_USERS"}
OCCURRED = re.compile(r'"occurredAt": "[^"]*"')
Given = Mapping[str, Any]


@dataclass(frozen=True)
class Root:
    """A field of Query, Mutation or Subscription."""

    operation: str
    name: str
    field: GraphQLField

    def __str__(self) -> str:
        return self.name

    @property
    def permission(self) -> Permission | None:
        """The one it declares; None when it is public. Fails when it declares nothing."""
        declared = self.field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].extensions
        (requires,) = (one for one in declared if isinstance(one, Requires))
        return requires.permission


def roots(*operations: str) -> list[Root]:
    """All root fields of these operations, of all three when none is named."""
    kinds = {"query": GRAPH.query_type, "mutation": GRAPH.mutation_type, "subscription": GRAPH.subscription_type}
    return [
        Root(operation, name, field)
        for operation in operations or kinds
        for name, field in kinds[operation].fields.items()
    ]


def arguments(root: Root, given: Given | None = None) -> dict[str, Any]:
    """The least that the field can be asked with: what is required, and what `given` names by dotted path."""
    return _fields(root.field.args, "", given or {})


def _fields(fields: Mapping[str, GraphQLArgument | GraphQLInputField], path: str, given: Given) -> dict[str, Any]:
    return {
        name: _value(field.type, f"{path}{name}", given)
        for name, field in fields.items()
        if _is_required(field) or any(f"{one}.".startswith(f"{path}{name}.") for one in given)
    }


def _is_required(field: GraphQLArgument | GraphQLInputField) -> bool:
    return is_required_argument(field) if isinstance(field, GraphQLArgument) else is_required_input_field(field)


def _value(type_: GraphQLInputType, path: str, given: Given) -> Any:
    bare = get_nullable_type(type_)
    if is_list_type(bare):
        return [_value(bare.of_type, path, given)]
    if path in given:
        return given[path]
    if is_input_object_type(bare):
        return _one_of(bare, path, given) if _is_one_of(bare) else _fields(bare.fields, f"{path}.", given)
    if is_enum_type(bare):
        return ENUMS.get(bare.name, next(iter(bare.values)))
    return str(new_id()) if bare.name == "ID" else SCALARS[bare.name]


def _is_one_of(type_: GraphQLInputObjectType) -> bool:
    return type_.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].is_one_of


def _one_of(type_: GraphQLInputObjectType, path: str, given: Given) -> Any:
    """The alternative in which the last given path lies; else JSON, which can be anything, or the first."""
    named = [one.removeprefix(f"{path}.").partition(".")[0] for one in given if one.startswith(f"{path}.")]
    name = named[-1] if named else "json" if "json" in type_.fields else next(iter(type_.fields))
    if name == "json":
        return {name: CONDITION}
    return {name: _value(type_.fields[name].type, f"{path}.{name}", given)}


def paths(root: Root) -> Iterator[tuple[str, str]]:
    """Every argument and input field of a scalar type as its dotted path and the name of the type."""
    return _paths(root.field.args, "", ())


def _paths(
    fields: Mapping[str, GraphQLArgument | GraphQLInputField], path: str, within: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    """Of a type that holds itself, the first level."""
    for name, field in fields.items():
        bare = get_named_type(field.type)
        if bare.name in within:
            continue
        if is_input_object_type(bare):
            yield from _paths(bare.fields, f"{path}{name}.", (*within, bare.name))
        else:
            yield f"{path}{name}", bare.name


def document(root: Root, values: Mapping[str, Any], depth: int = 2) -> str:
    """The operation that asks for the field, with `values` as variables and the answer `depth` objects deep."""
    declared = ", ".join(f"${name}: {root.field.args[name].type}" for name in values)
    passed = ", ".join(f"{name}: ${name}" for name in values)
    variables, named = (f"({declared})", f"({passed})") if values else ("", "")
    return f"{root.operation}{variables} {{ {root.name}{named}{selection(root.field.type, depth)} }}"


def selection(type_: GraphQLOutputType, depth: int) -> str:
    """Everything that a type shows without arguments, `depth` objects deep; nothing for a scalar."""
    bare = get_named_type(type_)
    if is_leaf_type(bare):
        return ""
    if is_union_type(bare):
        return f" {{ {' '.join(f'... on {one.name}{selection(one, depth)}' for one in bare.types)} }}"
    deep = [
        f"{name}{selection(field.type, depth - 1)}"
        for name, field in bare.fields.items()
        if not field.args
        if is_leaf_type(get_named_type(field.type)) or (depth > 1 and is_object_type(get_named_type(field.type)))
    ]
    return f" {{ {' '.join(deep or ['__typename'])} }}"


async def ask(graph: Graph, root: Root, values: Mapping[str, Any], depth: int = 2) -> dict[str, Any]:
    """The answer to an operation: its only one over HTTP, the first frame of a subscription."""
    query = document(root, values, depth)
    if root.operation != "subscription":
        return (await graph.ask(query, **values)).body
    async with graph.connect() as socket:
        await socket.start(query, **values)
        payload = (await socket.receive())["payload"]
    return {"errors": payload} if isinstance(payload, list) else payload


def refusals(answer: Mapping[str, Any]) -> list[str]:
    """The codes of the top-level errors."""
    return [error["extensions"]["code"] for error in answer.get("errors") or ()]


def codes(answer: Mapping[str, Any]) -> list[str]:
    """The codes of whatever was refused: top-level errors, then userErrors."""
    payloads = [value for value in (answer.get("data") or {}).values() if isinstance(value, dict)]
    return refusals(answer) + [error["code"] for payload in payloads for error in payload.get("userErrors", ())]


def text(answer: Mapping[str, Any]) -> str:
    """What a client could read in an answer, as one text; but when a subscription told it."""
    shown = json.dumps({name: answer.get(name) for name in ("data", "errors")}, sort_keys=True)
    return OCCURRED.sub("", shown)
