"""A GraphQL client that has several operations on one websocket at the same time, as a page does."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.graph import Graph, Socket
from tests.support.processes import Api


class Client:
    """One websocket."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._inboxes: defaultdict[str, asyncio.Queue[dict[str, Any]]] = defaultdict(asyncio.Queue)

    async def read(self) -> None:
        """Sort what comes by operation."""
        async for frame in self._socket.wire:
            message = json.loads(frame)
            if message["type"] != "complete":
                self._inboxes[message["id"]].put_nowait(message)

    async def follow(self, query: str, **variables: Any) -> "Stream":
        """Begin an operation."""
        return Stream(self._inboxes[id_ := await self._socket.start(query, **variables)], self, id_)

    async def ask(self, query: str, **variables: Any) -> Any:
        """The single field of the first frame of an operation, or the codes of its errors."""
        return await (await self.follow(query, **variables)).next()

    async def complete(self, id_: str) -> None:
        await self._socket.wire.send(json.dumps({"type": "complete", "id": id_}))

    def leave(self) -> None:
        """Go without a word."""
        self._socket.wire.transport.abort()


class Stream:
    """What comes of one operation."""

    def __init__(self, inbox: asyncio.Queue[dict[str, Any]], client: Client, id_: str) -> None:
        self._inbox, self._client, self._id = inbox, client, id_

    async def next(self, seconds: float = 10) -> Any:
        """The single field of the next frame, or the codes of its errors."""
        payload = (await asyncio.wait_for(self._inbox.get(), seconds))["payload"]
        errors = payload if isinstance(payload, list) else payload.get("errors")
        if errors:
            return [error["extensions"]["code"] for error in errors]
        (value,) = payload["data"].values()
        return value

    def waiting(self) -> int:
        """How many frames have come that nobody has taken."""
        return self._inbox.qsize()

    async def end(self) -> None:
        """Unsubscribe."""
        await self._client.complete(self._id)


@asynccontextmanager
async def connected(api: Api, token: str) -> AsyncIterator[Client]:
    """A websocket of whoever has the token."""
    graph = Graph(api.graphql, api.socket, token)
    async with graph.connect() as socket:
        client = Client(socket)
        reading = asyncio.create_task(client.read())
        try:
            yield client
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
    await graph.close()
