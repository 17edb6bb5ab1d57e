"""The permission of a field, declared where the field is declared."""

from inspect import isawaitable
from typing import Any

from strawberry.extensions.field_extension import AsyncExtensionResolver, FieldExtension
from strawberry.types.field import StrawberryField

from core.errors import Forbidden, TwoFactorRequired, Unauthenticated
from domain.permissions import Permission
from domain.principals import Principal

ENROL = "Your app requires a second factor. Set one up with setUpTwoFactor and confirmTwoFactor, then ask again."


class Requires(FieldExtension):
    """Lets a field run only for a principal with the permission; `Requires(None)` makes it public.

    The schema refuses to be built when a root field has none.
    """

    def __init__(self, permission: Permission | None) -> None:
        self.permission = permission

    def apply(self, field: StrawberryField) -> None:
        """Write the permission into the field's description, so that the docs tell it."""
        said = f"Permission: {self.permission.value}." if self.permission else "Open to everybody."
        field.description = f"{field.description or ''} {said}".strip()

    def check(self, principal: Principal | None) -> None:
        """Refuse who may not.

        Raises:
            Unauthenticated: nobody is signed in.
            TwoFactorRequired: signed in, but nothing else is allowed before a second factor is set up.
            Forbidden: signed in without the permission.
        """
        if self.permission is None:
            return
        if principal is None:
            raise Unauthenticated("Sign in first: send the header Authorization: Bearer <token>.")
        if self.permission not in principal.permissions:
            if principal.must_enrol:
                raise TwoFactorRequired(ENROL)
            raise Forbidden(f"This needs the permission {self.permission.value}.")

    async def resolve_async(self, next_: AsyncExtensionResolver, source: Any, info: Any, **kwargs: Any) -> Any:
        """Check, then run the resolver. That of a subscription gives a generator, which is handed on."""
        self.check(info.context.principal)
        found = next_(source, info, **kwargs)
        return await found if isawaitable(found) else found


def requires(permission: Permission) -> list[FieldExtension]:
    """`extensions=requires(Permission.X)`: only principals with X."""
    return [Requires(permission)]


def public() -> list[FieldExtension]:
    """`extensions=public()`: anybody, signed in or not."""
    return [Requires(None)]
