"""A GraphQL client over the wire: HTTP, and graphql-transport-ws."""

import asyncio
import itertools
import json
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import websockets

from tests.support.processes import Api

# Nothing here speaks TLS, and reading the authorities that one might trust takes longer than most tests.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def local_client(**options: Any) -> httpx2.AsyncClient:
    """An HTTP client for processes of this machine."""
    return httpx2.AsyncClient(**{"timeout": 30, "verify": _NO_TLS} | options)


@dataclass
class Answer:
    """What came back over HTTP."""

    status: int
    body: dict[str, Any]
    headers: httpx2.Headers

    @property
    def data(self) -> dict[str, Any]:
        assert "errors" not in self.body, self.body
        return self.body["data"]

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.body.get("errors", [])]

    def field(self, name: str) -> Any:
        return self.data[name]


class Graph:
    """Asks one API as one principal."""

    def __init__(
        self, graphql: str, socket: str, token: str | None = None, http: httpx2.AsyncClient | None = None
    ) -> None:
        self.graphql, self.socket, self.token = graphql, socket, token
        self._http = http or local_client()

    @property
    def ip(self) -> str:
        """The address from which this asks over HTTP."""
        return self._http.headers.get("X-Forwarded-For", "127.0.0.1")

    def as_(self, token: str | None) -> "Graph":
        """The same API, over the same connections, as somebody else."""
        return Graph(self.graphql, self.socket, token, self._http)

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(self, query: str, **variables: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        body = {"query": query, "variables": variables}
        response = await self._http.post(self.graphql, json=body, headers=headers)
        return Answer(response.status_code, response.json(), response.headers)

    async def data(self, query: str, **variables: Any) -> dict[str, Any]:
        return (await self.ask(query, **variables)).data

    async def change(self, query: str, **input: Any) -> dict[str, Any]:
        """The payload of a mutation with one field and the variable $input; fails on userErrors."""
        (payload,) = (await self.data(query, input=input)).values()
        assert payload["userErrors"] == [], payload
        return payload

    async def refused(self, query: str, **input: Any) -> list[dict[str, Any]]:
        """The userErrors of a mutation that must be refused."""
        (payload,) = (await self.data(query, input=input)).values()
        assert payload["userErrors"], payload
        return payload["userErrors"]

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["Socket"]:
        """An open, acknowledged socket."""
        async with websockets.connect(self.socket, subprotocols=["graphql-transport-ws"], compression=None) as wire:
            payload = {"Authorization": f"Bearer {self.token}"} if self.token else {}
            await wire.send(json.dumps({"type": "connection_init", "payload": payload}))
            ack = json.loads(await asyncio.wait_for(wire.recv(), 10))
            assert ack["type"] == "connection_ack", ack
            yield Socket(wire)


def address() -> str:
    """An address that no other test uses: what is limited by address begins anew."""
    return f"10.{'.'.join(str(part) for part in secrets.token_bytes(3))}"


def from_address(api: Api, token: str | None, ip: str) -> Graph:
    """The API, asked over HTTP from `ip`: the tests are a trusted proxy."""
    return Graph(api.graphql, api.socket, token, local_client(headers={"X-Forwarded-For": ip}))


class Socket:
    """Operations over one websocket; use one stream at a time."""

    def __init__(self, wire: Any) -> None:
        self.wire = wire
        self._ids = itertools.count(1)

    async def start(self, query: str, **variables: Any) -> str:
        id_ = str(next(self._ids))
        payload = {"query": query, "variables": variables}
        await self.wire.send(json.dumps({"type": "subscribe", "id": id_, "payload": payload}))
        return id_

    async def receive(self, seconds: float = 20) -> dict[str, Any]:
        return json.loads(await asyncio.wait_for(self.wire.recv(), seconds))

    async def frames(self, query: str, seconds: float = 20, **variables: Any) -> AsyncIterator[Any]:
        """The single field of each frame of a subscription, until it completes."""
        id_ = await self.start(query, **variables)
        while (message := await self.receive(seconds))["type"] != "complete":
            assert (message["id"], message["type"]) == (id_, "next"), message
            assert "errors" not in message["payload"], message
            (value,) = message["payload"]["data"].values()
            yield value
