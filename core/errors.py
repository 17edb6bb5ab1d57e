"""Failures that a caller is meant to see. Each carries a stable code, a sentence, and the field it is about.

Everything that is not a DomainError is a bug: it is masked before it leaves the server.
"""

from collections.abc import Mapping
from enum import StrEnum
from math import ceil
from types import MappingProxyType


class ErrorCode(StrEnum):
    """Stable codes of expected failures, the same in `userErrors` and in `errors[].extensions.code`."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    TWO_FACTOR_REQUIRED = "TWO_FACTOR_REQUIRED"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    TOO_LARGE = "TOO_LARGE"
    UNSUPPORTED_FILE = "UNSUPPORTED_FILE"
    EMPTY_AUDIENCE = "EMPTY_AUDIENCE"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    RATE_LIMITED = "RATE_LIMITED"
    FEATURE_DISABLED = "FEATURE_DISABLED"
    UNAVAILABLE = "UNAVAILABLE"


class DomainError(Exception):
    """An expected failure.

    Attributes:
        code: stable, for programs.
        message: one or two sentences, for people; says the way out.
        field: dotted path inside the mutation's input, or None when no single field is to blame.
        found: rows that help to go on, by the field of the mutation's payload that shows them.
    """

    code: ErrorCode = ErrorCode.BAD_USER_INPUT
    found: Mapping[str, object] = MappingProxyType({})

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    def extensions(self) -> dict[str, object]:
        """What a program may read beside the message."""
        named: dict[str, object] = {"code": self.code.value}
        return named | {"field": self.field} if self.field else named


class Invalid(DomainError):
    """The input breaks a rule."""


class Unauthenticated(DomainError):
    """Nobody is signed in, or the credentials are wrong or no longer good."""

    code = ErrorCode.UNAUTHENTICATED


class Forbidden(DomainError):
    """Signed in, but without the permission."""

    code = ErrorCode.FORBIDDEN


class TwoFactorRequired(Forbidden):
    """Signed in, but the app asks for a second factor first."""

    code = ErrorCode.TWO_FACTOR_REQUIRED


class NotFound(DomainError):
    """No such thing in this app. Things of other apps answer the same."""

    code = ErrorCode.NOT_FOUND


class Conflict(DomainError):
    """The thing is in a state that does not allow this."""

    code = ErrorCode.CONFLICT


class TooLarge(DomainError):
    """A file is larger than its kind may be."""

    code = ErrorCode.TOO_LARGE


class UnsupportedFile(DomainError):
    """A file is of no kind that we take, is not what it is said to be, or is something else besides."""

    code = ErrorCode.UNSUPPORTED_FILE


class EmptyAudience(DomainError):
    """A broadcast would reach nobody."""

    code = ErrorCode.EMPTY_AUDIENCE


class IdempotencyKeyReused(DomainError):
    """The same idempotency key came with another input."""

    code = ErrorCode.IDEMPOTENCY_KEY_REUSED


class FeatureDisabled(DomainError):
    """Switched off by configuration, or by a feature flag of the app."""

    code = ErrorCode.FEATURE_DISABLED


class Unavailable(DomainError):
    """Something the server stands on is not reachable at present; trying again later helps."""

    code = ErrorCode.UNAVAILABLE


class Misconfigured(Unavailable):
    """The server lacks a key, or has the wrong one.

    Its message is for clients; as text it is the reason, which only the operator may see.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("The server cannot do this at present. Its operator finds the reason in the log.")
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class RateLimited(DomainError):
    """Too many attempts.

    Attributes:
        retry_after: seconds until another attempt can pass.
    """

    code = ErrorCode.RATE_LIMITED

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def extensions(self) -> dict[str, object]:
        """The code and, in milliseconds, when to try again."""
        return super().extensions() | {"retryAfterMs": ceil(self.retry_after * 1000)}
