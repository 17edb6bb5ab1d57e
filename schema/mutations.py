"""What all mutations share: one payload each, expected failures as `userErrors` in it."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import strawberry
from strawberry.extensions.field_extension import AsyncExtensionResolver, FieldExtension
from strawberry.types.base import get_object_definition
from strawberry.types.field import StrawberryField

from core.errors import DomainError, ErrorCode, Forbidden, RateLimited, Unavailable
from domain.features import Feature
from domain.permissions import Permission
from schema.features import Needs
from schema.permissions import Requires
from schema.views import described, plain

F = TypeVar("F", bound=Callable[..., Any])
_TOP_LEVEL = (Forbidden, RateLimited, Unavailable)

described(
    ErrorCode,
    "Why something was refused. Stable, for programs.",
    UNAUTHENTICATED="Nobody is signed in, or the credentials are wrong.",
    FORBIDDEN="Signed in, but without the permission.",
    TWO_FACTOR_REQUIRED="The app requires a second factor of you: set one up with setUpTwoFactor.",
    NOT_FOUND="There is no such thing in this app.",
    CONFLICT="The thing is in a state that does not allow this.",
    BAD_USER_INPUT="The input breaks a rule; `field` says where.",
    TOO_LARGE="A file is larger than its kind may be.",
    UNSUPPORTED_FILE="A file is of no kind that is taken, is not what it is said to be, or is something else besides.",
    EMPTY_AUDIENCE="A broadcast would reach nobody.",
    IDEMPOTENCY_KEY_REUSED="The idempotency key came before with another input.",
    RATE_LIMITED="Too many attempts; wait.",
    FEATURE_DISABLED="Switched off by who runs the server, or by a feature flag of the app; the message says which.",
    UNAVAILABLE="Something the server stands on cannot be reached at present; try again.",
)


@strawberry.type(description="An expected failure of a mutation.")
class UserError:
    """An expected failure, shown in the payload."""

    code: ErrorCode = plain("Stable, for programs.")
    message: str = plain("For people; says the way out.")
    field: list[str] | None = plain('Path inside the input, e.g. ["emails", "0"]; null when no field is to blame.')


@strawberry.type
class Payload:
    """Base of all payloads. A subclass adds what the mutation made or changed, nullable."""

    user_errors: list[UserError] = plain("Why nothing was changed; empty when it worked.")


class UserErrors(FieldExtension):
    """Puts the resolver's row into the payload, or a DomainError into its `userErrors`.

    A payload with one field holds the returned row there; one with several takes each from the attribute of that name.
    What a DomainError has `found` stands in the fields of those names.
    """

    def __init__(self, payload: type[Payload]) -> None:
        self._payload = payload
        self._names = [field.name for field in dataclasses.fields(payload) if field.name != "user_errors"]

    def apply(self, field: StrawberryField) -> None:
        """Describe the one argument that every mutation takes as its type is described."""
        for argument in field.arguments:
            taken = get_object_definition(argument.type, strict=True)
            argument.description = argument.description or taken.description

    async def resolve_async(self, next_: AsyncExtensionResolver, source: Any, info: Any, **kwargs: Any) -> Payload:
        """Run the resolver."""
        try:
            row = await next_(source, info, **kwargs)
        except _TOP_LEVEL:
            raise
        except DomainError as error:
            found = {name: error.found.get(name) for name in self._names}
            return self._payload(**found, user_errors=[_user_error(error)])
        single = len(self._names) == 1
        return self._payload(**{name: row if single else getattr(row, name) for name in self._names}, user_errors=[])


def _user_error(error: DomainError) -> UserError:
    return UserError(code=error.code, message=error.message, field=error.field.split(".") if error.field else None)


def mutation(
    permission: Permission | None, payload: type[Payload], description: str, *, feature: Feature | None = None
) -> Callable[[F], Any]:
    """Declare a mutation: who may (None: everybody), what comes back (nullable), what it does, by which feature."""
    extensions: list[FieldExtension] = [UserErrors(payload), Requires(permission)]
    if feature:
        extensions.insert(0, Needs(feature))
    declare: Callable[[F], Any] = strawberry.mutation(
        graphql_type=payload | None, description=description, extensions=extensions
    )
    return declare
