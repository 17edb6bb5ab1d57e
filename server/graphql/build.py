"""Building a schema that keeps the limits and whose every root field says who may use it."""

from collections.abc import Iterator

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext
from strawberry.types.base import get_object_definition
from strawberry.types.field import StrawberryField

from core.config import Config, config
from schema.permissions import Requires
from schema.scalars import SCALARS
from server.graphql.documents import Documents, Pipeline


class UndeclaredPermission(Exception):
    """A root field says neither which permission it needs nor that it is public."""


class Schema(strawberry.Schema):
    """Strawberry's schema, silent: errors are logged once, where they leave the server (`errors.present`).

    Attributes:
        documents: those it has parsed and validated.
    """

    documents: Documents

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing to do here."""


def build_schema(
    query: type, mutation: type | None = None, subscription: type | None = None, *, conf: Config | None = None
) -> Schema:
    """A schema that keeps the limits of `conf` (this process's configuration when not given).

    Raises:
        UndeclaredPermission: a root field has no `extensions=requires(...)` or `extensions=public()`.
    """
    _refuse_undeclared(query, mutation, subscription)
    documents = Documents(conf or config())
    scalars = StrawberryConfig(scalar_map=SCALARS)
    schema = Schema(query, mutation, subscription, config=scalars, extensions=[lambda: Pipeline(documents)])
    schema.documents = documents
    return schema


def _refuse_undeclared(*roots: type | None) -> None:
    open_fields = [name for root in roots if root for name in _undeclared(root)]
    if open_fields:
        raise UndeclaredPermission(f"Declare a permission, or public(), for: {', '.join(sorted(open_fields))}.")


def _undeclared(root: type) -> Iterator[str]:
    definition = get_object_definition(root, strict=True)
    for field in definition.fields:
        if not _declared(field):
            yield f"{definition.name}.{field.python_name}"


def _declared(field: StrawberryField) -> bool:
    return any(isinstance(extension, Requires) for extension in field.extensions)
