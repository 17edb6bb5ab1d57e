"""Who calls, when a proxy stands between; and who may read the metrics."""

from typing import Any

import httpx2
import pytest
import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from core.config import Config, config
from server import health, serve
from server.graphql.context import address_of


async def who(request: Request) -> PlainTextResponse:
    return PlainTextResponse(address_of(request))


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The application behind uvicorn's middleware, as `replyhq serve` has it with the given REPLYHQ_TRUSTED_PROXIES."""
    given: dict[str, Any] = {}

    def started(proxies: str | None = None) -> Any:
        if proxies is not None:
            monkeypatch.setenv("REPLYHQ_TRUSTED_PROXIES", proxies)
        monkeypatch.setattr(serve, "configure_logging", lambda: None)
        monkeypatch.setattr(serve, "config", Config)
        monkeypatch.setattr(uvicorn, "run", lambda *_args, **options: given.update(options))
        serve.main()
        assert given["proxy_headers"] is True
        return ProxyHeadersMiddleware(Starlette(routes=[Route("/", who)]), given["forwarded_allow_ips"])

    return started


async def seen(app: Any, peer: str, *forwarded: str) -> str:
    transport = httpx2.ASGITransport(app=app, client=(peer, 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        return (await http.get("/", headers=[("X-Forwarded-For", value) for value in forwarded])).text


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "caller"),
    [
        (None, "127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        (None, "10.0.0.7", ["203.0.113.9"], "10.0.0.7"),
        ("10.0.0.0/8", "10.0.0.7", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.0/8, fd00::/8", "fd00::7", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.7,10.0.0.8", "10.0.0.8", ["203.0.113.9, 10.0.0.7"], "203.0.113.9"),
        ("10.0.0.0/8", "127.0.0.1", ["203.0.113.9"], "127.0.0.1"),
        ("", "127.0.0.1", ["203.0.113.9"], "127.0.0.1"),
    ],
)
async def test_a_trusted_proxy_says_who_calls(
    trusting: Any, proxies: str | None, peer: str, forwarded: list[str], caller: str
) -> None:
    assert await seen(trusting(proxies), peer, *forwarded) == caller


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.7", ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.7", ["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        ("10.0.0.7", ["10.0.0.1, 203.0.113.9"], "203.0.113.9"),
    ],
)
async def test_a_caller_cannot_pretend(trusting: Any, peer: str, forwarded: list[str], caller: str) -> None:
    """A client writes what it likes into the header; the proxy adds the true address behind that."""
    assert await seen(trusting("10.0.0.0/8"), peer, *forwarded) == caller


@pytest.mark.parametrize("proxies", ["*", "10.0.0.1/8", "proxy"])
def test_what_is_no_network_is_not_taken(monkeypatch: pytest.MonkeyPatch, proxies: str) -> None:
    monkeypatch.setenv("REPLYHQ_TRUSTED_PROXIES", proxies)
    with pytest.raises(ValidationError, match="not a valid"):
        Config()


@pytest.mark.parametrize(
    ("allowed", "caller", "headers", "may"),
    [
        (None, "127.0.0.1", [], True),
        (None, "127.9.9.9", [], True),
        (None, "::1", [], True),
        (None, "172.18.0.4", [], False),
        (None, "testclient", [], False),
        (None, "127.0.0.1", [(b"x-forwarded-for", b"127.0.0.1")], False),
        ("172.18.0.0/16", "172.18.0.4", [], True),
        ("172.18.0.0/16", "127.0.0.1", [], False),
        ("172.18.0.0/16", "172.18.0.4", [(b"x-forwarded-for", b"203.0.113.9")], False),
        ("172.18.0.0/16", "172.18.0.4", [(b"forwarded", b"for=203.0.113.9")], False),
    ],
)
def test_metrics_are_for_who_is_allowed(
    monkeypatch: pytest.MonkeyPatch, allowed: str | None, caller: str, headers: list[tuple[bytes, bytes]], may: bool
) -> None:
    if allowed is not None:
        monkeypatch.setenv("REPLYHQ_METRICS_ALLOWED", allowed)
    config.cache_clear()
    request = Request({"type": "http", "method": "GET", "client": (caller, 1), "headers": headers})
    try:
        assert health._may_measure(request) is may
    finally:
        config.cache_clear()
