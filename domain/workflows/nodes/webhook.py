"""Call a server of the app's own."""

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any
from urllib.parse import quote

from domain.workflows.configs import Config, said
from domain.workflows.nodes.acts import Act, Calls, Request
from domain.workflows.nodes.kind import NodeKind
from domain.workflows.readers import HEADERS, JSON, URL, choice, integer


class WebhookMethod(StrEnum):
    """How a server is called."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


@dataclass(frozen=True)
class Webhook(Config):
    """What is called."""

    url: str = said("https, on the public internet; its path and query may hold variables.", URL)
    method: WebhookMethod = said("POST, when left out.", choice(WebhookMethod), WebhookMethod.POST)
    headers: dict[str, Any] | None = said("Headers by name; their texts may hold variables.", HEADERS, None)
    body: dict[str, Any] | None = said(
        "The JSON object that is sent; its texts may hold variables.", JSON, None, name="jsonBody"
    )
    timeout_seconds: int = said("How long to wait for the answer: 1 to 30; 10, when left out.", integer(1, 30), 10)
    retries: int = said("How often to try again after a failure: 0 to 10; 3, when left out.", integer(0, 10), 3)


async def _acts(config: Webhook, act: Act) -> Calls:
    """What variables stand for is one part of a path or a query, whatever it is made of."""
    return Calls(
        Request(
            config.method.value,
            act.render(config.url, partial(quote, safe="")),
            act.filled(config.headers or {}),
            act.filled(config.body),
            config.timeout_seconds,
            config.retries,
        )
    )


KIND = NodeKind(
    "webhook",
    Webhook,
    "Calls a server; by the branch `failed`, if there is one, when it does not answer well.",
    may_branch=("failed",),
    outputs=("status", "body", "body.*"),
    acts=_acts,
)
