"""How many objects an operation may touch at most, known before it runs.

An object costs 1, a scalar 0, a mutation 10. What a connection asks for by `first` or `last` (50 when it does not say)
multiplies everything below it. Connections, edges and page infos are wrapping and cost nothing. A plain list of
objects counts as ten. `totalCount` reads the whole list and costs 100, whatever the page. Introspection is bounded by
the size of the document and costs nothing.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_interface_type,
    is_list_type,
    is_object_type,
)

PAGE = 50
PLAIN_LIST = 10
MUTATION = 10
COUNT = 100
_COUNT = "totalCount"
_WRAPPING = ("Connection", "Edge", "PageInfo")
_SIZES = ("first", "last")
_LARGEST = 2**31


def cost_of(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> int:
    """The cost of `operation`, part of the valid `document`, with `variables` as they came, not yet coerced."""
    root = schema.get_root_type(operation.operation)
    walk = _Walk(schema, document, _defaults(operation) | dict(variables))
    return walk.selected(root, operation.selection_set).each if root else 0


class _Cost(NamedTuple):
    """What selections cost for `each` of what they are made on, and for the list that it is in, `once`."""

    each: int = 0
    once: int = 0


def _defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    """Whole numbers that variables have when the request does not name them."""
    return {
        definition.variable.name.value: _written(definition.default_value)
        for definition in operation.variable_definitions or ()
        if isinstance(definition.default_value, IntValueNode)
    }


def _written(node: IntValueNode) -> int:
    """The number in the document; a longer one than 32 bits can hold is as bad as the largest."""
    return int(node.value) if len(node.value) < 12 else _LARGEST


class _Walk:
    """One walk over a valid document; each fragment is added up once."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._schema = schema
        self._variables = variables
        definitions = document.definitions
        self._fragments = {d.name.value: d for d in definitions if isinstance(d, FragmentDefinitionNode)}
        self._known: dict[str, _Cost] = {}

    def selected(self, parent: GraphQLNamedType, selection_set: SelectionSetNode | None) -> _Cost:
        """What the selections on `parent` cost."""
        costs = [self._selection(parent, node) for node in selection_set.selections] if selection_set else []
        return _Cost(sum(cost.each for cost in costs), sum(cost.once for cost in costs))

    def _selection(self, parent: GraphQLNamedType, node: SelectionNode) -> _Cost:
        if isinstance(node, FieldNode):
            counts = node.name.value == _COUNT and parent.name.endswith(_WRAPPING)
            return _Cost(once=COUNT) if counts else _Cost(self._field(parent, node))
        if isinstance(node, FragmentSpreadNode):
            return self._fragment(node.name.value)
        if isinstance(node, InlineFragmentNode):
            on = node.type_condition
            return self.selected(self._schema.type_map[on.name.value] if on else parent, node.selection_set)
        return _Cost()

    def _fragment(self, name: str) -> _Cost:
        if name not in self._known:
            fragment = self._fragments[name]
            on = self._schema.type_map[fragment.type_condition.name.value]
            self._known[name] = self.selected(on, fragment.selection_set)
        return self._known[name]

    def _field(self, parent: GraphQLNamedType, node: FieldNode) -> int:
        extra = MUTATION if parent is self._schema.mutation_type else 0
        field = _definition(parent, node)
        made = get_named_type(field.type) if field else None
        if field is None or made is None or not is_composite_type(made):
            return extra
        own = 0 if made.name.endswith(_WRAPPING) else 1
        below = self.selected(made, node.selection_set)
        return extra + below.once + self._times(parent, field, node) * (own + below.each)

    def _times(self, parent: GraphQLNamedType, field: GraphQLField, node: FieldNode) -> int:
        """How many there can be of what the field gives."""
        if any(size in field.args for size in _SIZES):
            return self._page(field, node)
        listed = is_list_type(get_nullable_type(field.type))
        return PLAIN_LIST if listed and not parent.name.endswith(_WRAPPING) else 1

    def _page(self, field: GraphQLField, node: FieldNode) -> int:
        asked = [self._number(argument.value) for argument in node.arguments or () if argument.name.value in _SIZES]
        declared = [_whole(field.args[size].default_value) for size in _SIZES if size in field.args]
        for numbers in (asked, declared):
            if known := [number for number in numbers if number is not None]:
                return max(0, *known)
        return PAGE

    def _number(self, value: ValueNode) -> int | None:
        if isinstance(value, IntValueNode):
            return _written(value)
        return _whole(self._variables.get(value.name.value)) if isinstance(value, VariableNode) else None


def _whole(value: object) -> int | None:
    """`value` as a whole number; GraphQL takes 50.0 for 50."""
    if not isinstance(value, int | float):
        return None
    return int(value) if abs(value) < _LARGEST else _LARGEST


def _definition(parent: GraphQLNamedType, node: FieldNode) -> GraphQLField | None:
    """The field's definition; None for introspection and for `__typename`."""
    if not (is_object_type(parent) or is_interface_type(parent)):
        return None
    found: GraphQLField | None = parent.fields.get(node.name.value)
    return found
