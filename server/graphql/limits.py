"""How large a document may be: one validation rule, linear in the length of the document.

A fragment is measured once, however often it is spread, so a chain of fragments that double each other costs nothing.
The rule stands first and ends the validation, so that the costlier rules never see a document that is too large.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValidationRule,
)
from graphql.validation.validate import ValidationAbortedError
from strawberry.schema.schema_converter import GraphQLCoreConverter

from core.config import Config
from schema.permissions import Requires
from server.graphql.errors import TOO_COMPLEX

MAX_COMMENTS = 50
MAX_NESTING = 64
MAX_DEFINITIONS = 60
MAX_REPEATS = 60
MAX_PUBLIC = 1
"""Mutations open to everybody in one operation. Each is a try at a password, a code or a token, and comes alone."""


class Size(NamedTuple):
    """What a set of selections comes to, with all fragments expanded.

    Attributes:
        depth: nesting of fields; what is below an introspection field does not count.
        nesting: nesting of braces, also those of fragments.
        fields: selected fields.
        aliases: fields with an alias.
        roots: fields on the first level.
        repeats: fields beyond the first of a name in one pair of braces; the standard rules compare all pairs of them.
        public: fields on the first level that are called as a mutation that is open to everybody.
    """

    depth: int = 0
    nesting: int = 0
    fields: int = 0
    aliases: int = 0
    roots: int = 0
    repeats: int = 0
    public: int = 0

    def beside(self, other: "Size") -> "Size":
        """Both selections in one set."""
        return Size(
            max(self.depth, other.depth),
            max(self.nesting, other.nesting),
            self.fields + other.fields,
            self.aliases + other.aliases,
            self.roots + other.roots,
            self.repeats + other.repeats,
            self.public + other.public,
        )


def parse_options(conf: Config) -> dict[str, int]:
    """What the parser may be asked to read at most: characters, tokens, comments."""
    return {
        "max_source_length": conf.max_source_chars,
        "max_lexical_tokens": conf.max_tokens,
        "max_comments": MAX_COMMENTS,
    }


def limits_rule(conf: Config) -> type[ValidationRule]:
    """The rule with the limits of `conf`; made once per schema, so that validated documents can be cached."""

    class DocumentLimits(ValidationRule):
        def enter_document(self, node: DocumentNode, *_args: object) -> None:
            _check(Measure(node, public_mutations(self.context.schema)), conf)

    return DocumentLimits


def public_mutations(schema: GraphQLSchema) -> frozenset[str]:
    """Names of the mutations that are open to everybody."""
    fields = schema.mutation_type.fields if schema.mutation_type else {}
    declared = {name: field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF] for name, field in fields.items()}
    return frozenset(name for name, field in declared.items() if _is_public(field.extensions))


def _is_public(extensions: Sequence[object]) -> bool:
    return any(isinstance(one, Requires) and one.permission is None for one in extensions)


class Measure:
    """Sizes of the operations of one document; `public` are the names of mutations that are open to everybody."""

    def __init__(self, document: DocumentNode, public: frozenset[str] = frozenset()) -> None:
        definitions = document.definitions
        self._public = public
        self._fragments = {d.name.value: d for d in definitions if isinstance(d, FragmentDefinitionNode)}
        self._known: dict[str, Size] = {}
        self.definitions = len(definitions)
        self.operations = [self._set(d.selection_set) for d in definitions if isinstance(d, OperationDefinitionNode)]

    def total(self) -> Size:
        """All operations together."""
        total = Size()
        for operation in self.operations:
            total = total.beside(operation)
        return total

    def _set(self, selection_set: SelectionSetNode | None) -> Size:
        if selection_set is None:
            return Size()
        selections = selection_set.selections
        size = Size(repeats=_repeats(selections))
        for selection in selections:
            size = size.beside(self._selection(selection))
        return size._replace(nesting=size.nesting + 1)

    def _selection(self, node: SelectionNode) -> Size:
        if isinstance(node, FragmentSpreadNode):
            return self._fragment(node.name.value)
        below = self._set(getattr(node, "selection_set", None))
        return self._field(node, below) if isinstance(node, FieldNode) else below

    def _field(self, node: FieldNode, below: Size) -> Size:
        name = node.name.value
        depth = 1 if name.startswith("__") else below.depth + 1
        aliases = below.aliases + bool(node.alias)
        return Size(depth, below.nesting, below.fields + 1, aliases, 1, below.repeats, int(name in self._public))

    def _fragment(self, name: str) -> Size:
        """Measured at its first spread. A circle, which another rule reports, adds nothing here."""
        if name not in self._known:
            self._known[name] = Size()
            fragment = self._fragments.get(name)
            self._known[name] = self._set(fragment.selection_set if fragment else None)
        return self._known[name]


def _repeats(selections: Sequence[SelectionNode]) -> int:
    names = list(_names(selections))
    return len(names) - len(set(names))


def _names(selections: Sequence[SelectionNode]) -> Iterator[str]:
    """What the fields are called in the answer, also those in inline fragments."""
    for node in selections:
        if isinstance(node, FieldNode):
            yield (node.alias or node.name).value
        elif isinstance(node, InlineFragmentNode):
            yield from _names(node.selection_set.selections)


def _check(measure: Measure, conf: Config) -> None:
    """Refuse the document at the first limit it breaks."""
    total = measure.total()
    roots = max((operation.roots for operation in measure.operations), default=0)
    public = max((operation.public for operation in measure.operations), default=0)
    for found, most, what in (
        (total.depth, conf.max_depth, "levels of fields"),
        (total.nesting, MAX_NESTING, "levels of braces, fragments expanded"),
        (total.fields, conf.max_fields, "fields, fragments expanded"),
        (total.aliases, conf.max_aliases, "aliases, fragments expanded"),
        (total.repeats, MAX_REPEATS, "fields that stand beside one of the same name"),
        (measure.definitions, MAX_DEFINITIONS, "operations and fragments"),
        (roots, conf.max_root_fields, "root fields in one operation"),
        (public, MAX_PUBLIC, "mutations open to everybody in one operation"),
    ):
        if found > most:
            raise _too_complex(f"The document has {_readable(found)} {what}; at most {most} are allowed.")


def _readable(number: int) -> str:
    """A doubling chain of fragments can count beyond what int-to-text conversion allows."""
    return str(number) if number < 1_000_000 else "over a million"


def _too_complex(message: str) -> GraphQLError:
    extensions: dict[str, Any] = {"code": TOO_COMPLEX}
    return ValidationAbortedError(message, extensions=extensions)
