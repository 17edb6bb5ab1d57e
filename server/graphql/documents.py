"""Documents parsed and validated once, and the way every operation takes through the schema."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    parse,
    specified_rules,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.schema.schema import validate_document

from core.config import Config
from core.errors import Unavailable
from schema.context import Context
from server.graphql.cost import cost_of
from server.graphql.errors import TOO_COMPLEX, VALIDATION_FAILED, coded
from server.graphql.limits import Measure, limits_rule, parse_options

KEPT = 256


class UnnamedOperation(CannotGetOperationTypeError):
    """The document has several operations and the request names none."""

    def as_http_error_reason(self) -> str:
        """What the client is told, over HTTP and websocket."""
        return "The document has several operations; say which one by operationName."


@dataclass(frozen=True)
class Document:
    """A document that the parser took.

    Attributes:
        node: its syntax tree.
        errors: what validation found, none when it may run. Shared by all who send it: never to be changed.
        operations: those defined in it.
        roots: how many root fields each has, fragments expanded.
    """

    node: DocumentNode
    errors: list[GraphQLError]
    operations: list[OperationDefinitionNode]
    roots: list[int]

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The one called `name`, or the first."""
        return next((o for o in self.operations if o.name and o.name.value == name), self.operations[0])

    def roots_of(self, name: str | None) -> int:
        """The root fields of `operation(name)`."""
        return self.roots[self.operations.index(self.operation(name))]


class Documents:
    """The newest 256 documents by their text. Belongs to one schema, so the rules are built once."""

    def __init__(self, conf: Config) -> None:
        self.conf = conf
        self.options = parse_options(conf)
        hidden = () if conf.introspection else (NoSchemaIntrospectionCustomRule,)
        self._rules = (limits_rule(conf), *specified_rules, *hidden)
        self.get = lru_cache(maxsize=KEPT)(self._prepare)

    def _prepare(self, schema: GraphQLSchema, text: str) -> Document:
        """Parse and validate.

        Raises:
            GraphQLSyntaxError: it is no GraphQL, or larger than the parser may read.
        """
        node = parse(text, **self.options)  # type: ignore[arg-type]
        errors = validate_document(schema, node, self._rules)
        for error in errors:
            error.extensions = {"code": VALIDATION_FAILED, **(error.extensions or {})}
        operations = [d for d in node.definitions if isinstance(d, OperationDefinitionNode)]
        return Document(node, errors, operations, [size.roots for size in Measure(node).operations])


class Pipeline(SchemaExtension):
    """What each operation passes, over HTTP and websocket alike: caches, choice of operation, cost, price, time."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._document: Document | None = None
        self._cost: int | None = None

    def on_operation(self) -> Iterator[None]:
        """Tell the parser its limits."""
        cast("dict[str, Any]", self.execution_context.parse_options).update(self._documents.options)
        yield

    def on_parse(self) -> Iterator[None]:
        """Take the document from the cache. One that does not parse is left to the stock step, which reports it."""
        context = self.execution_context
        with suppress(GraphQLError):
            self._document = self._documents.get(context.schema._schema, context.query or "")  # noqa: SLF001
            context.graphql_document = self._document.node
        yield
        named = context._provided_operation_name is not None  # noqa: SLF001
        if self._document and len(self._document.operations) > 1 and not named:
            raise UnnamedOperation(None)

    def on_validate(self) -> Iterator[None]:
        """Take the findings from the cache, then look at what it would cost with these variables."""
        if self._document is not None:
            self.execution_context.pre_execution_errors = self._document.errors or self._too_costly(self._document)
        yield

    def _too_costly(self, document: Document) -> list[GraphQLError]:
        context = self.execution_context
        operation = document.operation(context.operation_name)
        schema = context.schema._schema  # noqa: SLF001
        cost = cost_of(schema, document.node, operation, context.variables or {})
        self._cost = None if operation.operation is OperationType.SUBSCRIPTION else cost
        most = self._documents.conf.max_cost
        if cost <= most:
            return []
        return [coded(f"The operation may touch {cost} objects; at most {most} are allowed.", TOO_COMPLEX)]

    async def on_execute(self) -> AsyncIterator[None]:
        """Have root fields paid for, and stop what runs too long: of a subscription its start, not its stream."""
        await self._charge()
        seconds = self._documents.conf.operation_seconds
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise Unavailable(f"The operation took longer than {seconds:g} seconds and was stopped.") from None

    async def _charge(self) -> None:
        """Each root field beyond the first costs as much as a request of its own, as the first was paid for already."""
        context = self.execution_context
        if self._document and (more := self._document.roots_of(context.operation_name) - 1) > 0:
            await cast("Context", context.context).charge(more)

    def get_results(self) -> dict[str, Any]:
        """`extensions.cost`, as Shopify and Saleor name it; not repeated with each event of a subscription."""
        if self._cost is None:
            return {}
        most = self._documents.conf.max_cost
        return {"cost": {"requestedQueryCost": self._cost, "maximumAvailable": most}}
