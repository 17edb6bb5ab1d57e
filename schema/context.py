"""What a resolver knows beside its arguments: who asks, from where, and the loaders of this operation."""

from dataclasses import dataclass, field

import strawberry

from core.errors import Unauthenticated
from domain.principals import Caller, Principal
from schema.loaders import Loaders


@dataclass
class Context:
    """Made anew for every operation, also on a websocket, so that no loader outlives what it loaded.

    Attributes:
        principal: who asks, or None when nobody is signed in.
        ip: the caller's address.
        user_agent: as the caller said it, cut to 300 characters.
    """

    principal: Principal | None
    ip: str = ""
    user_agent: str = ""
    loaders: Loaders = field(default_factory=Loaders)

    @property
    def caller(self) -> Caller:
        """Where the request comes from."""
        return Caller(self.ip, self.user_agent)

    def asker(self) -> Principal:
        """The principal, in fields that declare a permission and so have one.

        Raises:
            Unauthenticated: nobody is signed in.
        """
        if self.principal is None:
            raise Unauthenticated("Sign in first: send the header Authorization: Bearer <token>.")
        return self.principal


Info = strawberry.Info[Context, None]
