"""The websocket of uvicorn, which also takes ready frames for many clients at a time, without a task for any of them.

An ASGI application can only await the sending to one client after the other. For messages that go out to a thousand,
the application finds the websocket itself in the scope and writes to it, as long as the client takes what is written.
"""

import struct
from typing import Any, Final

from starlette.types import Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

MOST_WAITING = 512 * 1024
"""Bytes that may wait for a client before it counts as one that does not read."""
_EXTENSION: Final = "replyhq.wire"
_TEXT = 0x81


class SocketProtocol(WebSocketsSansIOProtocol):
    """A websocket that puts itself into its scope."""

    def handle_connect(self, event: Request) -> None:
        """Begin; the application starts later, so it finds the wire."""
        super().handle_connect(event)
        if not self.handshake_complete:
            extensions: dict[str, Any] = self.scope["extensions"] or {}
            extensions[_EXTENSION] = self

    def push(self, frames: bytes) -> bool:
        """Write whole frames; False, and nothing written, when the client takes nothing or is leaving."""
        transport = self.transport
        if self.close_sent or self.disconnected or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > MOST_WAITING:
            return False
        transport.write(frames)
        return True

    def abort(self) -> None:
        """Drop the connection and what waits for it."""
        self.transport.abort()


def wire_of(scope: Scope) -> SocketProtocol | None:
    """The wire of a websocket; None under another server, or another protocol of this one."""
    found: SocketProtocol | None = scope.get("extensions", {}).get(_EXTENSION)
    return found


def header(size: int) -> bytes:
    """What stands before a text of so many bytes (RFC 6455, 5.2): a server's frames are not masked."""
    if size < 126:
        return bytes((_TEXT, size))
    return struct.pack("!BBH", _TEXT, 126, size) if size < 65_536 else struct.pack("!BBQ", _TEXT, 127, size)
