"""Reading and writing a websocket: text frames of JSON within the limit, and closing so that the client hears why."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any, cast

from starlette.websockets import WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import NonJsonMessageReceived, NonTextMessageReceived, WebSocketDisconnected

from server.wire import wire_of

if TYPE_CHECKING:
    from server.graphql.view import GraphQLView

SEND_SECONDS = 10.0
CLOSE_SECONDS = 2.0
REASON_BYTES = 123
TOO_LARGE = 1009


class SocketAdapter(ASGIWebSocketAdapter):
    """One websocket, seen from the protocol."""

    @property
    def is_open(self) -> bool:
        """Whether this side has not closed it."""
        return self.ws.application_state is WebSocketState.CONNECTED

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:
        """Decoded messages until either side closes.

        Raises:
            NonTextMessageReceived: a binary frame.
            NonJsonMessageReceived: no JSON, unless `ignore_parsing_errors`.
        """
        while self.is_open:
            message = await self.ws.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if text is None:
                raise NonTextMessageReceived
            if len(text.encode()) > cast("GraphQLView", self.view).conf.ws_max_message_bytes:
                await self.close(TOO_LARGE, "Message too large")
                return
            try:
                decoded = self.view.decode_json(text)
            except ValueError as error:
                if ignore_parsing_errors:
                    continue
                raise NonJsonMessageReceived from error
            yield decoded

    async def send_json(self, message: Mapping[str, object]) -> None:
        """Send one message; waits while the client's buffers are full, at most 10 seconds.

        Raises:
            WebSocketDisconnected: it is closed, or the client takes nothing any more.
        """
        text = cast("GraphQLView", self.view).encode_json(message).decode()
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self.ws.send_text(text)
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            raise WebSocketDisconnected from error

    async def close(self, code: int, reason: str) -> None:
        """Close with a reason of at most 123 bytes, as the frame allows. Closing what is closed does nothing."""
        short = reason.encode()[:REASON_BYTES].decode(errors="ignore")
        if self.is_open:
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self.ws.close(code, short)
            except TimeoutError:
                self._drop()
            except (WebSocketDisconnect, RuntimeError, OSError):
                pass

    def _drop(self) -> None:
        """Who does not even take the closing must not keep what waits for them in memory."""
        if wire := wire_of(self.ws.scope):
            wire.abort()


def message_of(kind: str, operation_id: str, payload: Any) -> dict[str, Any]:
    """A message of the server about one operation."""
    return {"id": operation_id, "type": kind, "payload": payload}
