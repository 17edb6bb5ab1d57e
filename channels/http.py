"""HTTP to addresses that somebody else has chosen: providers, browsers' push services, webhooks.

Goes to public addresses by https alone, checked and pinned (see `addresses`); follows no redirect, uses no proxy,
sends no cookies, keeps at most 64 KiB of an answer, and says whether a request that failed had been written.
"""

import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, TraceConfig
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from core.addresses import BlockedError, Lookup, checked, look_up, parse_url
from core.clock import now
from core.config import config

CONNECT_SECONDS = 3.0
SECONDS = 10.0
"""For all of a request, from looking up the name to the last byte of the answer."""
ANSWER_BYTES = 64 * 1024
RETRY_AFTER_MOST = 86_400.0
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "ReplyHQ"}


class NotSentError(Exception):
    """The request was not written: nobody has got it."""


class RefusedUrlError(NotSentError):
    """Nothing is ever sent to this URL: it is not https, or leads to an address that is not public."""


class LostError(Exception):
    """The request was written, or part of it, and no answer came: nobody knows."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Of the body at most 64 KiB; fewer when it stopped coming."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked; `seconds` is for all of it."""

    method: str
    url: URL
    body: bytes | None
    headers: Mapping[str, str]
    seconds: float


class Http:
    """A client with its connections, for one event loop. Made before any loop runs, it connects in the first one."""

    def __init__(self, *, allow_loopback: bool | None = None, lookup: Lookup = look_up) -> None:
        self._allow_loopback = config().outbound_allow_loopback if allow_loopback is None else allow_loopback
        self._lookup = lookup
        self._session: ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST `body` as it is. Raises as `request`."""
        return await self.request("POST", url, body, headers)

    async def request(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], *, seconds: float | None = None
    ) -> Answer:
        """Make a request, and wait `seconds` at most for all of it, 10 when they are not given.

        Raises:
            RefusedUrlError: this URL is never sent to.
            NotSentError: no connection was made in time.
            LostError: the request may have arrived.
        """
        try:
            parsed = parse_url(url, allow_loopback=self._allow_loopback)
        except ValueError as error:
            raise RefusedUrlError(f"The URL {error}.") from None
        written = SimpleNamespace(any=False)
        try:
            return await self._request(Request(method, parsed, body, headers, seconds or SECONDS), written)
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise _failure(error, written=written.any) from error

    async def _request(self, asked: Request, written: SimpleNamespace) -> Answer:
        sending = self._open().request(
            asked.method,
            asked.url,
            data=asked.body,
            headers={**HEADERS, **asked.headers},
            allow_redirects=False,
            timeout=ClientTimeout(total=asked.seconds, connect=CONNECT_SECONDS),
            trace_request_ctx=written,
        )
        async with sending as response:
            return Answer(response.status, response.headers, await _read(response))

    def _open(self) -> ClientSession:
        if self._session is None or self._session.closed:
            resolver = _Resolver(self._lookup, allow_loopback=self._allow_loopback)
            self._session = ClientSession(
                connector=TCPConnector(resolver=resolver, use_dns_cache=False, limit=0),
                cookie_jar=DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                trace_configs=[_watching()],
            )
        return self._session

    async def close(self) -> None:
        """End all connections."""
        if self._session is not None:
            await self._session.close()


class _Resolver(AbstractResolver):
    """Gives aiohttp only addresses that were checked, so that it connects to no other."""

    def __init__(self, lookup: Lookup, *, allow_loopback: bool) -> None:
        self._lookup, self._allow_loopback = lookup, allow_loopback

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:  # noqa: ARG002
        """The addresses of a name."""
        found = await checked(host, port, allow_loopback=self._allow_loopback, lookup=self._lookup)
        return [_resolved(host, one, port) for one in found]

    async def close(self) -> None:
        """Nothing to end."""


def _resolved(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)


def _watching() -> TraceConfig:
    """Notes in the request's own context that its first bytes are about to be written."""
    trace = TraceConfig()

    async def note(_session: ClientSession, context: SimpleNamespace, _params: object) -> None:
        context.trace_request_ctx.any = True

    trace.on_request_headers_sent.append(note)
    return trace


async def _read(response: ClientResponse) -> bytes:
    """The body, cut. The status has been said: a body that stops coming changes nothing about it."""
    body = bytearray()
    with suppress(aiohttp.ClientError, OSError):
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > ANSWER_BYTES:
                response.close()
                break
    return bytes(body[:ANSWER_BYTES])


def _failure(error: Exception, *, written: bool) -> NotSentError | LostError:
    said = type(error).__name__
    if written:
        return LostError(said)
    return RefusedUrlError(said) if _is_blocked(error) else NotSentError(said)


def _is_blocked(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, BlockedError | aiohttp.InvalidURL):
            return True
        error = error.__cause__ or error.__context__
    return False


def retry_after(answer: Answer) -> float | None:
    """Seconds that Retry-After says to wait, a day at most; None when it says nothing that can be read."""
    said = answer.headers.get("Retry-After", "").strip()
    with suppress(ValueError, OverflowError):
        seconds = float(said) if said.isdigit() else _seconds_until(said)
        return min(max(seconds, 0.0), RETRY_AFTER_MOST)
    return None


def _seconds_until(date: str) -> float:
    """Raises ValueError for what is no HTTP date."""
    at = parsedate_to_datetime(date)
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now()).total_seconds()
