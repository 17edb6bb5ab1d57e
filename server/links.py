"""Tracked links and the pictures that tell of opened mails: `GET /l/<token>` and `GET /o/<token>.gif`.

A link leads to the address that was stored for it when its broadcast started, and nowhere else. Whoever asks is led
there; who is counted, and as what, says `domain.links.agents`. What cannot be counted is led there all the same.
"""

import asyncio
import string
from base64 import b64decode
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from html import escape
from math import ceil
from typing import Any
from urllib.parse import quote

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from core.errors import DomainError, RateLimited, Unavailable
from domain import clicks
from domain.links import agents, stored, tokens
from domain.rate_limits import spend_visit
from server.graphql.context import address_of
from server.graphql.rate_limits import Toll

log = structlog.get_logger(__name__)
Answer = Callable[[Request], Awaitable[Response]]
Count = Callable[[], Awaitable[None]]
PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
# Webmail shows the picture in a page of another origin.
SHOWN_ANYWHERE = HEADERS | {"Cross-Origin-Resource-Policy": "cross-origin"}
PAGE = "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><h1>{title}</h1><p>{sentence}"
PATIENCE_SECONDS = 1.0
PAUSES = (0.0, 1.0, 5.0, 20.0)  # seconds before each try
UNDER_WAY_MOST = 10_000
UNKNOWN = "This link leads nowhere", "It is not complete, or what it led to is gone. Copy all of it from the message."
_under_way: set[asyncio.Task[None]] = set()


def routes() -> list[Route]:
    """Both addresses, open to everybody; by GET and HEAD."""
    return [Route("/l/{token}", _tolled(_follow)), Route("/o/{token}.gif", _tolled(_show))]


def _tolled(answer: Answer) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """Let an address ask as often as it may; what is refused is a page, as a person reads it."""

    async def answered(request: Request) -> Response:
        toll = Toll(spend_visit, address_of(request))
        try:
            await toll.pay(None)
            response = await answer(request)
        except DomainError as error:
            response = _refusal(error)
        response.headers.update(toll.headers)
        return response

    return answered


async def _follow(request: Request) -> Response:
    found = tokens.read_link(request.path_params["token"])
    url = await stored.targets.ask(found[:2]) if found else None
    if found is None or url is None:
        return _page(404, *UNKNOWN)
    broadcast_id, _, seq = found
    if request.method == "GET" and agents.is_person(request.headers):
        await _count(partial(clicks.clicked, broadcast_id, seq))
    return Response(status_code=302, headers=HEADERS | {"Location": _ascii(url)})


async def _show(request: Request) -> Response:
    found = tokens.read_open(request.path_params["token"])
    if found is None:
        return _page(404, *UNKNOWN)
    if request.method == "GET":
        await _count(partial(clicks.opened, *found, by_machine=not agents.is_person(request.headers)))
    return Response(PIXEL, headers=SHOWN_ANYWHERE, media_type="image/gif")


async def _count(count: Count) -> None:
    """Count, and wait a second for it at most: what is slow or away keeps nobody from where they want to go."""
    if len(_under_way) >= UNDER_WAY_MOST:
        log.warning("a visit was not counted", reason="too many wait")
        return
    task = asyncio.create_task(_counted(count))
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    await asyncio.wait({task}, timeout=PATIENCE_SECONDS)


async def _counted(count: Count) -> None:
    """Count; when the database is away or slow, again and again for half a minute. It counts once all the same."""
    for pause in PAUSES:
        await asyncio.sleep(pause)
        try:
            await count()
        except Unavailable:
            continue
        except Exception:
            log.warning("a visit was not counted", reason="a bug", exc_info=True)
        return
    log.warning("a visit was not counted", reason="the database is away")


def _ascii(url: str) -> str:
    """An address as a header may hold it: what is not ASCII is percent-encoded, all else stays as it is."""
    return quote(url, safe=string.punctuation)


def _refusal(error: DomainError) -> Response:
    if isinstance(error, RateLimited):
        return _page(429, "Too many requests", error.message, {"Retry-After": str(ceil(error.retry_after))})
    status = 503 if isinstance(error, Unavailable) else 400
    return _page(status, "Not now", error.message)


def _page(status: int, title: str, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    told = PAGE.format(title=escape(title), sentence=escape(sentence))
    return HTMLResponse(told, status, {**HEADERS, **(headers or {})})
