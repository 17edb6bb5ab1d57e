"""GraphQL over HTTP on the wire."""

import httpx2
import orjson
import pytest

from core.errors import RateLimited, Unavailable
from domain.permissions import Permission
from server.graphql.request import negotiate
from tests.server.face import HEADERS, principal
from tests.server.sample import SECRET

GRAPHQL = "application/graphql-response+json"
JSON = "application/json"


def codes(response: httpx2.Response) -> list[str]:
    return [error["extensions"]["code"] for error in response.json()["errors"]]


async def test_a_query_runs(face):
    response = await face.post({"query": "query($n: String!) { hello(name: $n) }", "variables": {"n": "you"}})
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{GRAPHQL}; charset=utf-8"
    assert response.json() == {
        "data": {"hello": "hello you"},
        "extensions": {"cost": {"requestedQueryCost": 0, "maximumAvailable": 5000}},
    }


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (GRAPHQL, GRAPHQL),
        (f"{GRAPHQL}, {JSON};q=0.9", GRAPHQL),
        (f"{GRAPHQL};q=0.5, {JSON};q=0.9", JSON),
        (f"{GRAPHQL};q=0, */*;q=0.1", JSON),
        (f"{GRAPHQL};q=oops, {JSON}", JSON),
        (f"APPLICATION/GRAPHQL-RESPONSE+JSON; charset=utf-8, {JSON}; charset=utf-8", GRAPHQL),
        ("text/html, application/json;q=0.1", JSON),
        ("text/html", None),
        ("application/json-evil", None),
        (f"{JSON};q=0", None),
    ],
)
async def test_the_answer_has_the_media_type_that_is_accepted(face, accept, media):
    response = await face.query("{ hello }", Accept=accept)
    assert response.status_code == (200 if media else 406)
    assert response.headers["content-type"] == f"{media or JSON}; charset=utf-8"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query($n: Int!) { items(first: $n) { nodes { id } } }"}, "BAD_USER_INPUT"),
        ({"query": "query A { hello } query B { hello }"}, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "query A { hello } query B { hello }", "operationName": ""}, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "query A { hello }", "operationName": "B"}, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "fragment A on Query { hello }"}, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "{ items(first: 6000) { nodes { id } } }"}, "QUERY_TOO_COMPLEX"),
    ],
)
async def test_what_cannot_be_executed_is_400_or_200_by_media_type_and_has_no_data(face, body, code):
    for media, status in ((GRAPHQL, 400), (JSON, 200)):
        response = await face.post(body, Accept=media)
        assert (response.status_code, codes(response)) == (status, [code])
        assert "data" not in response.json()


def test_who_says_nothing_gets_json():
    assert negotiate(None) == JSON


async def test_an_empty_operation_name_counts_as_absent(face):
    response = await face.post({"query": "query A { hello }", "operationName": ""})
    assert response.json()["data"] == {"hello": "hello world"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"5",
        b"null",
        b'"x"',
        b"NaN",
        b'\xff\xfe{"query": "{ hello }"}',
        b'{"query": "{ hello }", "variables": {"n": "\xff"}}',
        b'{"query": "\\ud800"}',
        b"[" * 2000,
        [],
        [{"query": "{ hello }"}],
        {},
        {"query": None},
        {"query": ""},
        {"query": 5},
        {"query": ["{ hello }"]},
        {"query": "{ hello }", "variables": []},
        {"query": "{ hello }", "variables": "{}"},
        {"query": "{ hello }", "operationName": 5},
        {"query": "{ hello }", "extensions": "x"},
    ],
    ids=str,
)
async def test_a_malformed_body_is_400_under_both_media_types(face, body):
    for media in (GRAPHQL, JSON):
        response = await face.post(body, Accept=media)
        assert (response.status_code, codes(response)) == (400, ["BAD_USER_INPUT"])


async def test_null_and_unknown_members_are_taken(face):
    body = {"query": "{ hello }", "variables": None, "operationName": None, "extensions": None, "id": 5}
    assert (await face.post(body)).status_code == 200


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=UTF-8", 200),
        ('application/json; charset="utf-8"', 200),
        ("application/json; charset=latin-1", 415),
        ("application/json-evil", 415),
        ("text/plain; application/json", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/graphql", 415),
        ("", 415),
    ],
)
async def test_only_json_is_taken(face, content_type, status):
    response = await face.query("{ hello }", Content_Type=content_type)
    assert response.status_code == status
    assert response.headers["content-type"].startswith(GRAPHQL)


async def get(face, headers, **params):
    async with face.client() as client:
        return await client.get("/graphql", params=params, headers=headers)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Requested-With": "x"}, 200),
        ({"Apollo-Require-Preflight": "true"}, 200),
        ({"Content-Type": "application/json"}, 200),
        ({"X-Requested-With": ""}, 400),
        ({"Content-Type": "text/plain"}, 400),
        ({}, 400),
    ],
)
async def test_a_query_by_get_needs_a_header_that_a_foreign_page_cannot_add(face, headers, status):
    assert (await get(face, headers, query="{ hello }")).status_code == status


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"query": "query($n: String) { hello(name: $n) }", "variables": '{"n": "you"}'}, 200),
        ({"query": "query A { hello }", "variables": "", "operationName": "", "extensions": ""}, 200),
        ({"query": "{ hello }", "variables": "{"}, 400),
        ({"query": "{ hello }", "variables": "[]"}, 400),
        ({"query": ""}, 400),
        ({}, 400),
    ],
)
async def test_parameters_of_get(face, params, status):
    assert (await get(face, {"X-Requested-With": "x"}, **params)).status_code == status


async def test_a_mutation_by_get_is_refused_and_told_how(face):
    response = await get(face, {"X-Requested-With": "x"}, query='mutation { rename(name: "a") }')
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_a_subscription_over_http_is_refused_and_told_where(face):
    response = await face.query("subscription { count }", Accept=JSON)
    assert response.status_code == 400
    assert "graphql-transport-ws" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_other_methods_are_405(face, method):
    async with face.client() as client:
        response = await client.request(method, "/graphql")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


async def test_who_asks(face):
    face.door.known["good"] = known = principal()
    signed_in = await face.query("{ whoami caller }", Authorization="bearer good", User_Agent="test" * 100)
    assert signed_in.json()["data"] == {"whoami": known.actor, "caller": f"127.0.0.1 {'test' * 75}"}
    anonymous = await face.query("{ whoami }")
    assert anonymous.json()["data"] == {"whoami": None}


@pytest.mark.parametrize("credentials", ["Bearer bad", "Bearer", "Basic dTpw", "good", f"Bearer {'x' * 9000}"])
async def test_a_bad_token_is_401(face, credentials):
    response = await face.query("{ whoami }", Authorization=credentials)
    assert (response.status_code, codes(response)) == (401, ["UNAUTHENTICATED"])
    assert response.headers["www-authenticate"] == "Bearer"


async def test_a_proof_that_fails_otherwise_has_its_status(face):
    face.door.known |= {
        "busy": RateLimited("Too many.", retry_after=2.5),
        "away": Unavailable("The database is away."),
        "bug": RuntimeError(SECRET),
    }
    busy, away, bug = [await face.query("{ hello }", Authorization=f"Bearer {t}") for t in ("busy", "away", "bug")]
    assert (busy.status_code, codes(busy), busy.headers["retry-after"]) == (429, ["RATE_LIMITED"], "3")
    assert (away.status_code, codes(away)) == (503, ["UNAVAILABLE"])
    assert (bug.status_code, codes(bug)) == (500, ["INTERNAL_SERVER_ERROR"])
    assert "hunter2" not in bug.text
    assert bug.headers["x-request-id"] in bug.json()["errors"][0]["message"]


async def test_permissions(face):
    face.door.known |= {"may": principal(Permission.VIEW_BROADCASTS), "may-not": principal()}
    nobody = await face.query("{ secret }")
    may_not = await face.query("{ secret }", Authorization="Bearer may-not")
    may = await face.query("{ secret }", Authorization="Bearer may")
    assert (nobody.status_code, codes(nobody)) == (200, ["UNAUTHENTICATED"])
    assert (may_not.status_code, codes(may_not)) == (200, ["FORBIDDEN"])
    assert may.json()["data"] == {"secret": "seen"}


async def test_an_operation_that_takes_too_long_is_stopped(face):
    response = await face.query("{ slow }")
    assert (response.status_code, codes(response)) == (503, ["UNAVAILABLE"])


async def test_an_error_that_says_when_to_come_back_sets_retry_after(face):
    response = await face.query("{ limited }")
    assert response.headers["retry-after"] == "2"
    assert response.json()["errors"][0]["extensions"] == {"code": "RATE_LIMITED", "retryAfterMs": 1500}


async def test_two_requests_on_one_connection_do_not_share_anything(face):
    face.door.known["good"] = principal()
    async with face.client() as client:
        body = orjson.dumps({"query": "{ whoami }"})
        first = await client.post("/graphql", content=body, headers=HEADERS | {"Authorization": "Bearer good"})
        second = await client.post("/graphql", content=body, headers=HEADERS)
    assert first.json()["data"]["whoami"]
    assert second.json()["data"]["whoami"] is None
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
