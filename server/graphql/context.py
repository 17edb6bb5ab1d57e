"""From a request or a websocket to what a resolver knows: who asks, and from where."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

from starlette.requests import HTTPConnection

from core.errors import Unauthenticated
from core.lifetimes import Lifetime
from core.tenancy import bound_to
from domain.principals import Caller, Principal
from schema.context import Context
from server.graphql.rate_limits import Toll

Authenticate = Callable[[str], Awaitable[Principal]]
Arrive = Callable[[Principal, Lifetime], Awaitable[None]]
AGENT_CHARS = 300
TOKEN_CHARS = 8_192


def context_of(
    connection: HTTPConnection, principal: Principal | None, toll: Toll, lifetime: Lifetime | None = None
) -> Context:
    """A fresh context, with empty loaders, for one operation of `principal`, who pays `toll`; of a websocket if any."""
    agent = connection.headers.get("user-agent", "")
    caller = Caller(address_of(connection), agent[:AGENT_CHARS])
    asker, charge = principal and replace(principal, caller=caller), partial(toll.pay, principal)
    return Context(asker, caller, charge, lifetime=lifetime)


async def unnoted(_principal: Principal, _lifetime: Lifetime) -> None:
    """Nobody's coming is noted."""


def bound(principal: Principal | None) -> AbstractContextManager[None]:
    """Hold an operation to the rows of its asker's app; to none when nobody is signed in."""
    return bound_to(principal.app_id if principal else None)


def address_of(connection: HTTPConnection) -> str:
    """The caller's address; empty on a socket that has none, such as a Unix socket."""
    return connection.client.host if connection.client else ""


def bearer(credentials: object) -> str | None:
    """The token in `Bearer <token>`; None when there are no credentials at all.

    Args:
        credentials: an Authorization header, or what a client put in its place over the websocket.

    Raises:
        Unauthenticated: something else is there.
    """
    if credentials is None:
        return None
    scheme, _, token = credentials.strip().partition(" ") if isinstance(credentials, str) else ("", "", "")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > TOKEN_CHARS:
        raise Unauthenticated("Send Authorization: Bearer <token>, or nothing.")
    return token
