"""What a client is told when an operation fails, and what stays in the log.

`extensions.code` is always set, from a closed list. A DomainError keeps its code and its sentence. Everything that is
not foreseen is masked: the client gets an id, the log gets the error, once, under the same id.
"""

import re
from collections.abc import Sequence
from typing import Any

import structlog
from graphql import FieldNode, GraphQLError, GraphQLFormattedError, GraphQLSyntaxError
from strawberry.exceptions import MissingQueryError, StrawberryInputCoercionError
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from core.errors import DomainError, ErrorCode, Misconfigured, Unavailable
from server import correlation
from server.refusals import BAD_INPUT, INTERNAL, masked

log = structlog.get_logger(__name__)

PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
NO_SUCH_OPERATION = "OPERATION_RESOLUTION_FAILURE"
TOO_COMPLEX = "QUERY_TOO_COMPLEX"
CODES = frozenset(
    {PARSE_FAILED, VALIDATION_FAILED, NO_SUCH_OPERATION, TOO_COMPLEX, BAD_INPUT, INTERNAL}
    | {code.value for code in ErrorCode}
)
SHOWN = 5
_HINT = re.compile(r" Did you mean .*", re.DOTALL)


def coded(message: str, code: str) -> GraphQLError:
    """An error of our own that goes out as it is."""
    return GraphQLError(message, extensions={"code": code})


def is_request_error(result: ExecutionResult) -> bool:
    """Whether the operation never ran, or its event stream never began or broke off: no data, no field to blame."""
    blamed = any(error.path for error in result.errors or ())
    return result.data is None and (isinstance(result, PreExecutionError) or not blamed)


def is_unavailable(result: ExecutionResult) -> bool:
    """Whether something that the product stands on was away."""
    return any(isinstance(_cause(error), Unavailable) for error in result.errors or ())


def present(errors: Sequence[GraphQLError], *, hints: bool) -> list[GraphQLFormattedError]:
    """The first five of `errors` as they go over the wire.

    Args:
        errors: as graphql-core or Strawberry made them.
        hints: whether messages may suggest names of the schema ("Did you mean"); no when introspection is off.
    """
    return [_presented(error, hints=hints) for error in errors[:SHOWN]]


def _presented(error: GraphQLError, *, hints: bool) -> GraphQLFormattedError:
    cause = _cause(error)
    shown: GraphQLFormattedError = {"message": "", "extensions": {}}
    if isinstance(cause, DomainError):
        tell_operator(cause)
        shown["message"], shown["extensions"] = cause.message, cause.extensions()
    elif code := _code(error, cause):
        message = error.message if hints else _HINT.sub("", error.message)
        shown["message"], shown["extensions"] = message, {**(error.extensions or {}), "code": code}
    else:
        shown["message"], shown["extensions"] = _mask(error, cause), {"code": INTERNAL}
    return _located(shown, error)


def tell_operator(error: DomainError) -> None:
    """Log what a client must not see of an expected failure."""
    if isinstance(error, Misconfigured):
        log.error("server not configured for this", reason=error.reason)


def _cause(error: GraphQLError) -> Exception:
    """What was raised in the first place."""
    cause: Exception = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _code(error: GraphQLError, cause: Exception) -> str | None:
    """The code of an error that the client caused; None for a bug of ours."""
    if isinstance(cause, GraphQLSyntaxError):
        return PARSE_FAILED
    if isinstance(cause, CannotGetOperationTypeError):
        return NO_SUCH_OPERATION
    if isinstance(cause, MissingQueryError):
        return BAD_INPUT
    if not isinstance(cause, GraphQLError):
        return None
    given = (error.extensions or {}).get("code")
    if given in CODES:
        return str(given)
    return BAD_INPUT if _is_about_input(error, cause) else None


def _is_about_input(error: GraphQLError, cause: GraphQLError) -> bool:
    """Whether a variable or an argument could not be coerced.

    A variable that does not fit fails before any field runs, so there is no path. An argument that does not fit is
    reported at the argument's node; a result that cannot be serialised, which is our bug, at the field's.
    """
    if error.path is None or isinstance(cause, StrawberryInputCoercionError):
        return True
    return any(not isinstance(node, FieldNode) for node in error.nodes or ())


def _mask(error: GraphQLError, cause: Exception) -> str:
    correlation_id = correlation.current()
    log.error("operation failed", correlation_id=correlation_id, path=error.path, exc_info=cause)
    return masked(correlation_id)


def _located(shown: GraphQLFormattedError, error: GraphQLError) -> GraphQLFormattedError:
    """`shown` with the place in the document and in the answer, where there is one."""
    original: dict[str, Any] = dict(error.formatted)
    if "locations" in original:
        shown["locations"] = original["locations"]
    if "path" in original:
        shown["path"] = original["path"]
    return shown
