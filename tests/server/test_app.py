"""What stands before the routes, and the routes beside GraphQL."""

import asyncio
import re

import httpx2
import pytest
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

import migrations
from server import health
from server.app import assemble, create_app
from server.middleware import Correlation
from tests.server.face import HEADERS, TLS, WAIT, running, serving, settings
from tests.server.sample import SECRET

ORIGIN = "https://app.example.com"
SECURE = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


@pytest.fixture(scope="module")
def full():
    """A face with everything on."""
    with running(settings(graphiql=True, allowed_origins=(ORIGIN,), max_body_bytes=1000)) as started:
        yield started


@pytest.mark.parametrize("path", ["/graphql", "/healthz", "/nothing", "/graphql/deeper"])
async def test_every_answer_has_the_security_headers_and_an_id(full, path):
    async with full.client() as http:
        response = await http.get(path)
    assert SECURE.items() <= dict(response.headers).items()
    assert response.headers["x-request-id"]
    assert response.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nothing", 404, "NOT_FOUND"), ("POST", "/healthz", 405, "BAD_USER_INPUT")],
)
async def test_the_router_refuses_in_json(full, method, path, status, code):
    async with full.client() as http:
        response = await http.request(method, path)
    assert response.status_code == status
    assert response.json()["errors"][0]["extensions"] == {"code": code}


@pytest.mark.parametrize(
    ("proposed", "taken"),
    [("0f8fad5b-d9cb-469f", True), ("short", False), ("x" * 65, False), ("with space", False), ("a<b>c\"d'e", False)],
)
async def test_a_proxy_may_propose_the_id(full, proposed, taken):
    async with full.client() as http:
        response = await http.get("/healthz", headers={"X-Request-Id": proposed})
    assert (response.headers["x-request-id"] == proposed) is taken


async def chunks(total):
    for _ in range(10):
        yield b" " * (total // 10)


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(("size", "status"), [(1000, 400), (1100, 413), (10_000_000, 413)])
async def test_a_body_may_be_so_large_whether_it_says_so_or_not(full, declared, size, status):
    async with full.client() as http:
        content = b" " * size if declared else chunks(size)
        response = await http.post("/graphql", content=content, headers=HEADERS)
    assert response.status_code == status
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(("origin", "allowed"), [(ORIGIN, True), ("https://evil.example.com", False), ("null", False)])
async def test_only_named_origins_may_read(full, origin, allowed):
    preflight = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    async with full.client() as http:
        asked = await http.options("/graphql", headers=preflight)
        answer = await http.post("/graphql", json={"query": "{ hello }"}, headers={"Origin": origin})
    assert asked.is_success is allowed
    for response in (asked, answer):
        assert (response.headers.get("access-control-allow-origin") == origin) is allowed
        assert "access-control-allow-credentials" not in response.headers


def test_a_wildcard_origin_is_not_taken():
    with pytest.raises(ValueError, match="must name each origin"), running(settings(allowed_origins=("*",))):
        pass


async def broken(_request: Request):
    raise RuntimeError(SECRET)


async def test_what_nobody_caught_is_masked():
    app = Correlation(Starlette(routes=[Route("/", broken)]))
    with serving(app, settings()) as (port, _loop):
        async with httpx2.AsyncClient(verify=TLS) as http:
            response = await http.get(f"http://127.0.0.1:{port}/")
    assert response.status_code == 500
    assert "hunter2" not in response.text


async def test_a_client_that_leaves_in_mid_body_is_no_error(full):
    with structlog.testing.capture_logs() as logs:
        _, writer = await asyncio.open_connection("127.0.0.1", full.port)
        writer.write(
            b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        )
        await writer.drain()
        writer.transport.abort()
        async with asyncio.timeout(WAIT):
            while not logs:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert [(log["event"], log["log_level"]) for log in logs] == [("client left", "info")]


async def test_liveness(full):
    async with full.client() as http:
        assert (await http.get("/healthz")).json() == {"status": "alive"}


async def passes():
    pass


async def fails():
    raise OSError


@pytest.mark.parametrize(
    ("checks", "status", "body"),
    [
        ({"postgresql": passes, "redis": passes}, 200, {"status": "ready"}),
        ({"postgresql": passes, "redis": fails}, 503, {"status": "unavailable", "missing": ["redis"]}),
        ({"postgresql": fails, "redis": fails}, 503, {"status": "unavailable", "missing": ["postgresql", "redis"]}),
    ],
)
async def test_readiness_says_what_is_missing(full, monkeypatch, checks, status, body):
    monkeypatch.setattr(health, "CHECKS", checks)
    async with full.client() as http:
        response = await http.get("/readyz")
    assert (response.status_code, response.json()) == (status, body)


async def test_metrics(full):
    async with full.client() as http:
        assert "replyhq_websockets" in (await http.get("/metrics")).text


async def test_graphiql_comes_whole_from_here(full):
    async with full.client() as http:
        page = await http.get("/graphiql")
        files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        served = [await http.get(f"/{file}") for file in files if not file.startswith("data:")]
    assert len(served) == 6
    assert all(response.status_code == 200 for response in served)
    assert "<script>" not in page.text
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert served[0].headers["cache-control"] == "no-cache"


async def test_graphiql_is_off_unless_configured(face):
    async with face.client() as http:
        assert (await http.get("/graphiql")).status_code == 404
        assert (await http.get("/graphiql/static/page.css")).status_code == 404


async def test_the_application_holds_its_resources_while_it_runs():
    events = []

    class Held:
        async def __aenter__(self):
            events.append("open")

        async def __aexit__(self, *_error):
            events.append("closed")

    with running(held=Held) as started:
        assert events == ["open"]
        assert isinstance(assemble(started.view), Starlette)
    assert events == ["open", "closed"]


async def test_the_product_is_ready_on_its_own_servers():
    transport = httpx2.ASGITransport(app=create_app())
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        ready = await http.get("/readyz")
        answer = await http.post("/graphql", json={"query": "{ __typename }"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    assert answer.json()["data"] == {"__typename": "Query"}


async def test_a_database_that_is_behind_is_not_ready(monkeypatch):
    monkeypatch.setattr(migrations, "newest", lambda: "a later one")
    transport = httpx2.ASGITransport(app=create_app())
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        ready = await http.get("/readyz")
    assert (ready.status_code, ready.json()) == (503, {"status": "unavailable", "missing": ["migrations"]})
