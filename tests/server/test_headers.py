"""Headers of every answer, and who may ask from where."""

import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from server import health
from server.refusals import JSON
from tests.server.face import HEADERS, Face, running, settings
from tests.support.processes import Api

ORIGIN = "https://app.example.com"
HOST = "api.example.com"
EVERY = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "strict-transport-security": "max-age=31536000",
}
# GraphiQL is a page: it has a policy of its own, and a browser may keep its files if it asks whether they changed.
OWN = {"/graphiql": {"content-security-policy"}, "/graphiql/static/page.css": {"cache-control"}}
PATHS = ["/graphql", "/healthz", "/readyz", "/metrics", "/graphiql", "/graphiql/static/page.css", "/nothing", "/"]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}


@pytest.fixture(scope="module")
def face() -> Iterator[Face]:
    """A face in production, except that everything is on."""
    conf = settings(
        environment="production",
        public_url=f"{ORIGIN}/inbox",
        allowed_hosts=f"{HOST},*.api.example.com",
        allowed_origins=(ORIGIN,),
        graphiql=True,
        max_body_bytes=1_000,
    )
    with running(conf) as started:
        yield started


@pytest.fixture(autouse=True)
def ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readiness without servers: the engine of this process belongs to the loop of the tests."""
    monkeypatch.setattr(health, "CHECKS", {})


async def ask(face: Face, method: str, path: str, **options: Any) -> httpx2.Response:
    """The answer to a request with the right Host, unless `headers` say another."""
    headers = {"Host": HOST} | options.pop("headers", {})
    async with face.client() as http:
        return await http.request(method, path, headers=headers, **options)


def lacking(response: httpx2.Response, but: set[str] = frozenset()) -> dict[str, str | None]:
    """The security headers that are not as they should be."""
    wanted = {name: value for name, value in EVERY.items() if name not in but}
    got = {name: response.headers.get(name) for name in wanted}
    return {name: value for name, value in got.items() if value != wanted[name]}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", METHODS)
async def test_every_route_by_every_method(face: Face, method: str, path: str) -> None:
    response = await ask(face, method, path)
    good = response.status_code in {200, 503} and method in {"GET", "HEAD"}
    assert lacking(response, OWN.get(path, set()) if good else set()) == {}
    assert response.headers["x-request-id"]


WRONG: list[tuple[str, int, dict[str, Any]]] = [
    ("bad token", 401, {"json": {"query": "{ hello }"}, "headers": {"Authorization": "Bearer no"}}),
    ("bad scheme", 401, {"json": {"query": "{ hello }"}, "headers": {"Authorization": "Basic no"}}),
    ("not JSON", 400, {"content": b"{", "headers": HEADERS}),
    ("no GraphQL", 400, {"json": {"query": "{"}, "headers": HEADERS}),
    ("media type", 415, {"content": b"query=1"}),
    ("not acceptable", 406, {"json": {}, "headers": {"Accept": "text/html"}}),
    ("too large", 413, {"content": b" " * 2_000, "headers": HEADERS}),
    ("a bug", 200, {"json": {"query": "{ boom }"}}),
    ("a limit", 200, {"json": {"query": "{ limited }"}}),
    ("a good one", 200, {"json": {"query": "{ hello }"}}),
    ("preflight", 200, {"method": "OPTIONS", "headers": {"Origin": ORIGIN, **PREFLIGHT}}),
    ("bad preflight", 400, {"method": "OPTIONS", "headers": {"Origin": "null", **PREFLIGHT}}),
    ("bad host", 400, {"json": {"query": "{ hello }"}, "headers": {"Host": "evil.example.com"}}),
]


@pytest.mark.parametrize(("status", "options"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
async def test_every_kind_of_answer(face: Face, status: int, options: dict[str, Any]) -> None:
    response = await ask(face, **{"method": "POST", "path": "/graphql"} | options)
    assert response.status_code == status
    assert lacking(response) == {}


async def test_a_refused_websocket(face: Face) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with face.socket():
            pass
    response = refused.value.response
    assert response.status_code == 400
    assert {name: response.headers.get(name) for name in EVERY} == EVERY


HOSTS = [
    ("app.example.com", True),
    (HOST, True),
    (HOST.upper(), True),
    (f"{HOST}:8443", True),
    ("one.api.example.com", True),
    ("evil.example.com", False),
    ("evilapi.example.com", False),
    (f"{HOST}.evil.example.org", False),
    ("www.api.example.com@evil.example.org", False),
    ("127.0.0.1", False),
    ("", False),
]


@pytest.mark.parametrize(("host", "known"), HOSTS)
async def test_in_production_the_api_is_called_by_its_names_alone(face: Face, host: str, known: bool) -> None:
    for path in ("/graphql", "/graphiql", "/nothing"):
        response = await ask(face, "GET", path, headers={"Host": host})
        assert (response.text == "Invalid host header") is not known
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await ask(face, "GET", path, headers={"Host": host})).status_code in {200, 503}


async def test_in_development_any_name_does_and_browsers_are_not_told_to_remember_https() -> None:
    with running() as started:
        response = await ask(started, "GET", "/graphql", headers={"Host": "anything"})
    assert response.headers["content-type"].startswith(JSON)
    assert lacking(response) == {"strict-transport-security": None}


ORIGINS = [
    (ORIGIN, True),
    (ORIGIN.upper(), False),
    ("http://app.example.com", False),
    ("https://app.example.com:8443", False),
    ("https://app.example.com:443", False),
    ("https://app.example.com.evil.example.org", False),
    ("https://evilapp.example.com", False),
    ("https://sub.app.example.com", False),
    ("https://example.com", False),
    ("https://app.example.com/", False),
    ("https://app-example.com", False),
    ("null", False),
    ("", False),
    (f"https://{HOST}", False),
]


@pytest.mark.parametrize(("origin", "allowed"), ORIGINS)
async def test_only_the_very_origin_may_read(face: Face, origin: str, allowed: bool) -> None:
    asked = await ask(face, "OPTIONS", "/graphql", headers={"Origin": origin, **PREFLIGHT})
    answers = [
        await ask(face, "POST", "/graphql", json={"query": query}, headers={"Origin": origin})
        for query in ("{ hello }", "{ boom }", "{")
    ]
    for response in (asked, *answers):
        assert (response.headers.get("access-control-allow-origin") == origin) is allowed
        assert ("access-control-allow-origin" in response.headers) is allowed
        assert "access-control-allow-credentials" not in response.headers
        assert "Origin" in response.headers["vary"]
    assert asked.is_success is allowed


async def test_a_preflight_may_be_kept_for_ten_minutes(face: Face) -> None:
    response = await ask(face, "OPTIONS", "/graphql", headers={"Origin": ORIGIN, **PREFLIGHT})
    assert response.headers["access-control-max-age"] == "600"
    assert response.headers["access-control-allow-methods"] == "GET, POST"


@pytest.mark.parametrize(
    "changed", [{"Access-Control-Request-Method": "DELETE"}, {"Access-Control-Request-Headers": "cookie"}]
)
async def test_a_preflight_for_what_is_not_offered_fails(face: Face, changed: dict[str, str]) -> None:
    response = await ask(face, "OPTIONS", "/graphql", headers={"Origin": ORIGIN, **PREFLIGHT, **changed})
    assert response.status_code == 400


async def test_no_answer_of_a_process_names_its_programs(api: Api) -> None:
    told = re.compile(r"uvicorn|starlette|python|strawberry|websockets", re.IGNORECASE)
    async with httpx2.AsyncClient() as http:
        answers = [await http.get(api.url + path) for path in ("/graphql", "/healthz", "/nothing")]
        answers.append(await http.get(api.graphql, headers={"Upgrade": "websocket", "Connection": "Upgrade"}))
    for response in answers:
        assert "server" not in response.headers
        assert not told.search(str(response.headers) + response.text)
