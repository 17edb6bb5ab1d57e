"""From a request or a websocket to what a resolver knows: who asks, and from where."""

from collections.abc import Awaitable, Callable

from starlette.requests import HTTPConnection

from core.errors import Unauthenticated
from domain.principals import Principal
from schema.context import Context

Authenticate = Callable[[str], Awaitable[Principal]]
AGENT_CHARS = 300
TOKEN_CHARS = 8_192


def context_of(connection: HTTPConnection, principal: Principal | None) -> Context:
    """A fresh context, with empty loaders, for one operation of `principal`."""
    agent = connection.headers.get("user-agent", "")
    return Context(principal=principal, ip=address_of(connection), user_agent=agent[:AGENT_CHARS])


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
