"""Which subscriptions are alike, so that they can be served together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    Node,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    Visitor,
    visit,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter

from domain.permissions import Permission
from domain.principals import Principal
from schema.streams import AFTER, Shared
from server.graphql.build import Schema


class Alike(NamedTuple):
    """What those who are alike have in common.

    Attributes:
        variables: without the place to begin at, as JSON with sorted keys.
        rights: app, permissions, and whether a second factor is still to be set up.
        actor: who asks, where it depends on them what is told; else empty.
        resumes: whether events have places.
    """

    query: str
    operation: str | None
    variables: bytes
    rights: tuple[Any, frozenset[Permission], bool]
    actor: str
    resumes: bool


@dataclass(frozen=True)
class _Asked:
    """What a document says of how it can be shared; `place` is the variable that holds the place to begin at."""

    shared: Shared
    place: str | None


def alike(schema: Schema, query: str, name: str | None, given: Mapping[str, Any], who: Principal) -> Alike | None:
    """Which others a subscription is alike to; None when it is served for itself, or cannot run at all."""
    asked = _asked(schema, query, name)
    if asked is None:
        return None
    variables = {key: value for key, value in given.items() if key != asked.place}
    rights = who.app_id, who.permissions, who.must_enrol
    actor = who.actor if asked.shared.by_viewer else ""
    text = orjson.dumps(variables, option=orjson.OPT_SORT_KEYS)
    return Alike(query, name, text, rights, actor, asked.shared.resumes)


def is_subscription(schema: Schema, query: str, name: str | None) -> bool:
    """Whether it is a valid one, which may have results for as long as it is open."""
    return _operation(schema, query, name) is not None


def _operation(schema: Schema, query: str, name: str | None) -> tuple[DocumentNode, OperationDefinitionNode] | None:
    """The subscription that is asked for, and its document; None when it cannot run, or is no subscription."""
    try:
        document = schema.documents.get(schema._schema, query)  # noqa: SLF001
    except GraphQLError:
        return None
    if document.errors or (name is None and len(document.operations) > 1):
        return None
    operation = document.operation(name)
    return (document.node, operation) if operation.operation is OperationType.SUBSCRIPTION else None


@lru_cache(maxsize=256)
def _asked(schema: Schema, query: str, name: str | None) -> _Asked | None:
    """A root field behind a fragment or a directive is served for itself."""
    found = _operation(schema, query, name)
    if found is None:
        return None
    document, operation = found
    (root,) = operation.selection_set.selections
    if not isinstance(root, FieldNode) or root.directives:
        return None
    shared = _shared(schema, root.name.value)
    place = next((one.value for one in root.arguments or () if one.name.value == AFTER), None)
    if shared is None or not shared.resumes or not isinstance(place, VariableNode):
        return _Asked(shared, None) if shared else None
    variable = place.name.value
    used = sum(name == variable for name in _used(document))
    # once where it is declared, once as the argument: elsewhere it would make a difference
    return _Asked(shared, variable if used == 2 else None)


def _shared(schema: Schema, field: str) -> Shared | None:
    root = schema._schema.subscription_type  # noqa: SLF001
    definition = root.fields[field].extensions[GraphQLCoreConverter.DEFINITION_BACKREF] if root else None
    extensions = definition.extensions if definition else ()
    return next((one for one in extensions if isinstance(one, Shared)), None)


def _used(document: DocumentNode) -> Iterator[str]:
    """The variables of a document, each as often as it is named."""
    names: list[str] = []

    class Names(Visitor):
        def enter_variable(self, node: Node, *_: object) -> None:
            names.append(node.name.value if isinstance(node, VariableNode) else "")

    visit(document, Names())
    yield from names
