"""The documents of graphql-examples: every named operation, with the variables that stand beside it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphql import DocumentNode, FieldNode, OperationDefinitionNode, parse, print_ast, separate_operations

FOLDER = Path(__file__).parents[2] / "graphql-examples"
PAGE = FOLDER / "react-apollo"
_CONSTANT = re.compile(r"const (\w+)(?:(?!const ).)*?`([^`]*)`", re.DOTALL)
_INSERTED = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Example:
    """One named operation.

    Attributes:
        document: the operation alone, with the fragments it uses.
        variables: as they stand in the JSON file; None when it says nothing of this operation.
        comment: the line above it in the file.
    """

    name: str
    document: DocumentNode
    variables: dict[str, Any] | None
    comment: str

    def __str__(self) -> str:
        return self.name

    @property
    def source(self) -> str:
        return print_ast(self.document)

    @property
    def node(self) -> OperationDefinitionNode:
        return next(one for one in self.document.definitions if isinstance(one, OperationDefinitionNode))

    @property
    def fields(self) -> list[str]:
        """The root fields it asks for."""
        return [one.name.value for one in self.node.selection_set.selections if isinstance(one, FieldNode)]

    @property
    def takes(self) -> list[str]:
        """The variables it declares."""
        return [one.variable.name.value for one in self.node.variable_definitions or ()]


def documents() -> list[Path]:
    return sorted(FOLDER.glob("*.graphql"))


def variables_of(path: Path) -> dict[str, Any]:
    """What stands beside a document, by the name of the operation; empty when there is no file."""
    beside = path.with_suffix(".json")
    return json.loads(beside.read_text()) if beside.exists() else {}


def examples() -> list[Example]:
    """All operations of all documents."""
    return [one for path in documents() for one in _of(path.read_text(), variables_of(path))]


def _of(source: str, variables: Mapping[str, Any]) -> list[Example]:
    whole = parse(source)
    starts = {one.name.value: one.loc.start for one in whole.definitions}
    return [
        Example(name, document, variables.get(name), _line_above(source, starts[name]))
        for name, document in separate_operations(whole).items()
    ]


def _line_above(source: str, start: int) -> str:
    return source[:start].rstrip("\n").rpartition("\n")[2]


def page_documents() -> dict[str, str]:
    """The documents of the React example by the name of their constant, with the fragments they take in."""
    sources = [(PAGE / "src" / name).read_text() for name in ("operations.ts", "inboxOperations.ts")]
    texts = dict(constant for source in sources for constant in _CONSTANT.findall(source))
    return {
        name: "".join(_INSERTED.sub("", texts[part]) for part in _parts(name, texts))
        for name, text in texts.items()
        if not text.lstrip().startswith("fragment")
    }


def _parts(name: str, texts: Mapping[str, str]) -> list[str]:
    """A constant and those inserted into it, each once."""
    inserted = [part for one in _INSERTED.findall(texts[name]) for part in _parts(one, texts)]
    return list(dict.fromkeys([name, *inserted]))
