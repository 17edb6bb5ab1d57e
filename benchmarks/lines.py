"""Websocket clients that cost next to nothing: they count the messages that come, and keep none."""

import asyncio
import time
from typing import Any

import orjson

PING, PONG = 0x89, 0x8A


class Line(asyncio.Protocol):
    """One client. Its masking key is zero, so that nothing is to be masked."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._buffer = b""
        self._open = False
        self._left = 0
        self._arrived: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Count whole messages."""
        self._buffer += data
        if not self._open:
            head, found, self._buffer = self._buffer.partition(b"\r\n\r\n")
            self._open = bool(found)
            self._buffer = self._buffer if found else head
            self._count(int(self._open))
        while self._open and (size := _frame(self._buffer)):
            frame, self._buffer = self._buffer[:size], self._buffer[size:]
            if frame[0] == PING:
                self._transport.write(bytes((PONG, 0x80 | frame[1])) + bytes(4) + frame[2:])
            else:
                self._count(1)

    def connection_lost(self, exc: Exception | None) -> None:
        """Who waits must not wait for ever."""
        if not self._arrived.done():
            self._arrived.set_exception(exc or ConnectionError("closed"))

    def _count(self, messages: int) -> None:
        self._left -= messages
        if messages and not self._left and not self._arrived.done():
            self._arrived.set_result(time.perf_counter())

    def expect(self, messages: int) -> asyncio.Future[float]:
        """The moment at which so many more have come."""
        self._left, self._arrived = messages, asyncio.get_running_loop().create_future()
        return self._arrived

    def open(self, port: int, protocol: str | None) -> None:
        """Ask for a websocket."""
        named = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
        self._transport.write(
            f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{named}\r\n".encode()
        )

    async def ask(self, message: object) -> None:
        """Send a message and wait for one."""
        answered = self.expect(1)
        text = orjson.dumps(message)
        size = len(text)
        length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        self._transport.write(b"\x81" + length + bytes(4) + text)
        async with asyncio.timeout(10):
            await answered

    def close(self) -> None:
        """Leave."""
        self._transport.abort()


async def connected(port: int, protocol: str | None = None) -> Line:
    """An open line to a server on this machine."""
    _, line = await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", port)
    opened = line.expect(1)
    line.open(port, protocol)
    async with asyncio.timeout(10):
        await opened
    return line


def _frame(buffer: bytes) -> int:
    """Bytes of the frame at the beginning; 0 when it is not whole."""
    if len(buffer) < 2:
        return 0
    size, start = buffer[1], 2
    if size == 126:
        size, start = int.from_bytes(buffer[2:4], "big"), 4
    elif size == 127:
        size, start = int.from_bytes(buffer[2:10], "big"), 10
    return start + size if len(buffer) >= start + size else 0
