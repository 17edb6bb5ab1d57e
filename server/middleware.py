"""What every request passes before it reaches a route."""

from collections.abc import Mapping, Sequence

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
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
    "Cross-Origin-Opener-Policy": "same-origin",
    # Keeps answers out of pages that embed them blindly. A front end elsewhere asks by CORS, which this leaves alone.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
# One year. A browser ignores it over http, where it would be in the way of development.
HTTPS_ONLY: Mapping[str, str] = {"Strict-Transport-Security": "max-age=31536000"}
# Asked by who knows the machine by its address alone: an orchestrator, a load balancer, Prometheus.
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})


class SecurityHeaders:
    """Adds the headers above to each answer that does not set its own; also to what refuses a websocket."""

    def __init__(self, app: ASGIApp, *, https_only: bool = False) -> None:
        self._app = app
        self._headers = {**SECURITY_HEADERS, **(HTTPS_ONLY if https_only else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""

        async def guarded(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, guarded)


class KnownHosts:
    """Answers 400 to a Host header that names none of `hosts`, except on the probes."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._guarded = TrustedHostMiddleware(app, hosts, www_redirect=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        passed = self._app if scope.get("path") in PROBES else self._guarded
        await passed(scope, receive, send)


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
    """Ends a request whose body is larger than `most` bytes, or than `elsewhere` has for its path, with 413."""

    def __init__(self, app: ASGIApp, most: int, elsewhere: Mapping[str, int]) -> None:
        self._app = app
        self._most = most
        self._elsewhere = elsewhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._elsewhere.get(scope["path"], self._most)
        if _declared(scope) > most:
            await _too_large(most).response()(scope, receive, send)
            return
        await self._app(scope, self._counting(receive, most), send)

    def _counting(self, receive: Receive, most: int) -> Receive:
        got = 0

        async def counted() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > most:
                raise _too_large(most)
            return message

        return counted


def _too_large(most: int) -> Refused:
    return Refused(413, f"The body must not be larger than {most} bytes.")


def _declared(scope: Scope) -> int:
    """Bytes that Content-Length promises; 0 when it does not."""
    declared = Headers(scope=scope).get("content-length", "")
    return int(declared) if declared.isdecimal() and len(declared) < 20 else 0
