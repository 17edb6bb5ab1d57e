"""What a resolver knows beside its arguments: who asks, from where, and the loaders of this operation."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import strawberry

from core.errors import Unauthenticated
from core.lifetimes import Lifetime
from domain.principals import NOWHERE, Caller, Principal
from schema.loaders import Loaders


async def _free(_requests: int) -> None:
    """Nothing is counted."""


@dataclass
class Window:
    """Which part of a stream an operation tells. The server shares what is told among those who asked for the same.

    Attributes:
        start: the number after which it begins; None where the operation's own arguments say.
        live: whether it goes on for ever; else it ends with the newest event.
        position: up to which number it has told.
        more: whether the next event is there already.
    """

    start: int | None = None
    live: bool = True
    position: int = 0
    more: bool = False


@dataclass
class Context:
    """Made anew for every operation, also on a websocket, so that no loader outlives what it loaded.

    Attributes:
        principal: who asks, or None when nobody is signed in.
        caller: where the request comes from.
        window: which part of its stream a subscription tells.
        lifetime: the websocket; None over HTTP.
        charge: spends so many further requests of the asker's rate limits; raises RateLimited when that is too many.
    """

    principal: Principal | None
    caller: Caller = NOWHERE
    charge: Callable[[int], Awaitable[None]] = _free
    window: Window = field(default_factory=Window)
    lifetime: Lifetime | None = None
    loaders: Loaders = field(default_factory=Loaders)

    def asker(self) -> Principal:
        """The principal, in fields that declare a permission and so have one.

        Raises:
            Unauthenticated: nobody is signed in.
        """
        if self.principal is None:
            raise Unauthenticated("Sign in first: send the header Authorization: Bearer <token>.")
        return self.principal


Info = strawberry.Info[Context, None]
