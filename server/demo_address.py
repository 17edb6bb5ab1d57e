"""Where a running demo is found, and whether it answers."""

from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Protocol

from core.config import config
from server.steps import Steps

ANSWER_SECONDS = 5
ALL_ADDRESSES = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - each with the one that leads there from here


class SignIn(Protocol):
    """What an operator of the demo signs in with."""

    @property
    def email(self) -> str:
        """The address."""

    @property
    def password(self) -> str:
        """The password."""


def is_ready() -> bool:
    """Whether the API answers and has all it needs."""
    connection = HTTPConnection(_local_host(), config().port, timeout=ANSWER_SECONDS)
    with suppress(OSError, HTTPException), closing(connection):
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    return False


def _local_host() -> str:
    """A host that leads to the API from this machine."""
    return ALL_ADDRESSES.get(config().host, config().host)


def url() -> str:
    """Where the demo is found from this machine."""
    host = f"[{_local_host()}]" if ":" in _local_host() else _local_host()
    return f"http://{host}:{config().port}"


def show(steps: Steps, logs: Path, account: SignIn) -> None:
    """Tell the user where everything is."""
    place = url().removeprefix("http://")
    steps.tell("\nReplyHQ is running. Ctrl-C stops it.\n")
    for title, text in (
        ("GraphiQL", f"http://{place}/graphiql"),
        ("GraphQL", f"http://{place}/graphql"),
        ("Websocket", f"ws://{place}/graphql  (graphql-transport-ws)"),
        ("Sign in", f"{account.email}  password: {account.password}"),
        ("Logs", str(logs)),
    ):
        steps.tell(f"  {title:<11}{text}")
