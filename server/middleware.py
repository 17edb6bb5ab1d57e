"""What every request passes before it reaches a route."""

from collections.abc import Mapping

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server import correlation
from server.refusals import Refused, internal

log = structlog.get_logger(__name__)
SECURITY_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class SecurityHeaders:
    """Adds the headers above to each answer that does not set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, guarded)


class Correlation:
    """Binds one id to the request's logs, says it in X-Request-Id, and masks what nobody caught under it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, correlation.begin(Headers(scope=scope).get(correlation.HEADER)))
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            log.info("client left", path=scope["path"])
        except Exception:
            log.exception("request failed", path=scope["path"])
            if scope["type"] == "http" and not answer.started:
                await internal(answer.correlation_id).response()(scope, receive, answer.send)


class _Answer:
    """Whether the answer has begun, and its id."""

    def __init__(self, send: Send, correlation_id: str) -> None:
        self.correlation_id = correlation_id
        self.started = False
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            MutableHeaders(scope=message)[correlation.HEADER] = self.correlation_id
        await self._send(message)


class BodyLimit:
    """Ends a request whose body is larger than `most` bytes, declared or not, with 413."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _declared(scope) > self._most:
            await self._refused().response()(scope, receive, send)
            return
        await self._app(scope, self._counting(receive), send)

    def _counting(self, receive: Receive) -> Receive:
        got = 0

        async def counted() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > self._most:
                raise self._refused()
            return message

        return counted

    def _refused(self) -> Refused:
        return Refused(413, f"The body must not be larger than {self._most} bytes.")


def _declared(scope: Scope) -> int:
    """Bytes that Content-Length promises; 0 when it does not."""
    declared = Headers(scope=scope).get("content-length", "")
    return int(declared) if declared.isdecimal() and len(declared) < 20 else 0
