"""A graphql-transport-ws connection, as a client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

SUBPROTOCOL = Subprotocol("graphql-transport-ws")
OPEN_SECONDS = 15.0
CLOSE_SECONDS = 2.0
Frame = dict[str, Any]
# Closed for a reason that trying again does not mend: bad request, not proven, other protocol. 4408 is a slow start.
FINAL_CODES = frozenset({4400, 4401, 4403, 4406, 4409, 4429})


class LineFault(Exception):
    """The server answered with an error, or with something that is not the protocol."""


def is_final(error: Exception) -> bool:
    """Whether the server closed the connection for good."""
    return isinstance(error, ConnectionClosed) and error.rcvd is not None and error.rcvd.code in FINAL_CODES


class Line:
    """An acknowledged connection. Iterate it for the frames of all operations, each with `id`, `type`, `payload`."""

    def __init__(self, wire: ClientConnection) -> None:
        self._wire = wire

    async def start(self, operation_id: str, query: str, variables: dict[str, Any]) -> None:
        """Start an operation; its frames carry `operation_id`."""
        payload = {"query": query, "variables": variables}
        await _send(self._wire, {"type": "subscribe", "id": operation_id, "payload": payload})

    async def __aiter__(self) -> AsyncIterator[Frame]:
        """The frames, until the connection ends.

        Raises:
            ConnectionClosed: it ended in another way than by a normal close.
            LineFault: a frame is not JSON.
        """
        async for message in self._wire:
            frame = _read(message)
            if frame["type"] == "ping":
                await _send(self._wire, {"type": "pong"})
            elif "id" in frame:
                yield frame


@asynccontextmanager
async def opened(url: str, token: str) -> AsyncIterator[Line]:
    """A connection to `url` (ws:// or wss://) that `token` has opened.

    Raises:
        OSError, TimeoutError, WebSocketException: it cannot be opened; see `is_final`.
        LineFault: it is not acknowledged.
    """
    wire = connect(
        url,
        subprotocols=[SUBPROTOCOL],
        compression=None,
        proxy=None,
        open_timeout=OPEN_SECONDS,
        close_timeout=CLOSE_SECONDS,
    )
    async with wire as open_wire:
        await _send(open_wire, {"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}})
        frame = _read(await open_wire.recv())
        if frame["type"] != "connection_ack":
            raise LineFault(f"The server answered {frame['type']} instead of connection_ack.")
        yield Line(open_wire)


async def _send(wire: ClientConnection, frame: Frame) -> None:
    await wire.send(orjson.dumps(frame).decode())


def _read(message: str | bytes) -> Frame:
    try:
        frame = orjson.loads(message)
    except ValueError:
        frame = None
    if not isinstance(frame, dict) or "type" not in frame:
        raise LineFault("The server sent something that is not of the protocol.")
    return frame
