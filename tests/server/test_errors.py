"""What a client is told about errors."""

import re

import pytest
import strawberry
import structlog
from graphql import GraphQLError

from core.errors import Misconfigured
from schema.context import Context
from schema.permissions import public
from server import correlation
from server.graphql.build import UndeclaredPermission, build_schema
from server.graphql.errors import CODES, present
from server.graphql.view import refusal
from tests.server.face import settings
from tests.server.sample import Mutation, Query, Subscription

MASKED = re.compile(r"Something went wrong on our side\. Quote this id: [0-9a-f-]{36}")
SCHEMA = build_schema(Query, Mutation, Subscription, conf=settings())


async def shown(query, variables=None, *, hints=True):
    result = await SCHEMA.execute(query, variable_values=variables, context_value=Context(None))
    return present(result.errors or [], hints=hints)


async def test_what_the_operator_has_to_mend_is_in_the_log_alone():
    secret = "A secret needs the encryption key `k7`; add it to REPLYHQ_ENCRYPTION_KEYS."
    error = GraphQLError("", original_error=Misconfigured(secret))
    with structlog.testing.capture_logs() as logs:
        (told,) = present([error], hints=True)
        refused = refusal(Misconfigured(secret))
    assert told["extensions"] == {"code": "UNAVAILABLE"}
    assert told["message"] == refused.message
    assert "REPLYHQ" not in told["message"]
    assert "k7" not in told["message"]
    assert [log["reason"] for log in logs] == [secret] * 2


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{", None, "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("{ draw(shape: {corners: null}) }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("query($s: Shape!) { draw(shape: $s) }", {"s": {"corners": None}}, "BAD_USER_INPUT"),
        ("query($s: Shape!) { draw(shape: $s) }", {"s": {"color": "GREEN"}}, "BAD_USER_INPUT"),
        ("query($s: Shape!) { draw(shape: $s) }", {}, "BAD_USER_INPUT"),
        ('query($n: String = "a") { hello(name: $n) }', {"n": None}, "BAD_USER_INPUT"),
        ("{ invalid }", None, "BAD_USER_INPUT"),
        ("{ missing }", None, "NOT_FOUND"),
        ("{ secret }", None, "UNAUTHENTICATED"),
        ("{ limited }", None, "RATE_LIMITED"),
        ("{ boom }", None, "INTERNAL_SERVER_ERROR"),
        ("{ boomLater }", None, "INTERNAL_SERVER_ERROR"),
        ("{ unfit }", None, "INTERNAL_SERVER_ERROR"),
    ],
)
async def test_every_error_has_a_code_of_the_closed_list(query, variables, code):
    found = await shown(query, variables)
    assert [error["extensions"]["code"] for error in found] == [code]
    assert code in CODES


async def test_a_foreseen_failure_keeps_its_sentence_and_its_field():
    assert await shown("{ invalid }") == [
        {
            "message": "The title is too long.",
            "extensions": {"code": "BAD_USER_INPUT", "field": "title"},
            "locations": [{"line": 1, "column": 3}],
            "path": ["invalid"],
        }
    ]


@pytest.mark.parametrize("query", ["{ boom }", "{ boomLater }", "{ unfit }"])
async def test_a_bug_is_masked_and_logged_once_under_the_id_that_is_quoted(query):
    with structlog.testing.capture_logs() as logs:
        correlation_id = correlation.begin()
        (error,) = await shown(query)
    assert MASKED.fullmatch(error["message"])
    assert correlation_id in error["message"]
    assert [(log["log_level"], log["correlation_id"]) for log in logs] == [("error", correlation_id)]
    assert isinstance(logs[0]["exc_info"], Exception)
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR"}
    assert error["path"] == [query.strip("{ }")]


async def test_foreseen_failures_are_not_logged():
    with structlog.testing.capture_logs() as logs:
        await shown("{ invalid missing secret }")
    assert logs == []


async def test_at_most_five_errors_are_shown():
    assert len(await shown("{" + " nothing" * 15 + "}")) == 5


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ helo }", None),
        ('{ hello(nme: "a") }', None),
        ("{ draw(shape: {colour: RED}) }", None),
        ("{ draw(shape: {color: REDD}) }", None),
        ("{ some { ... on Itm { id } } }", None),
        ("query($s: Shap) { hello }", None),
        ("query($s: Shape!) { draw(shape: $s) }", {"s": {"color": "REDD"}}),
        ("query($s: Shape!) { draw(shape: $s) }", {"s": {"colour": "RED"}}),
    ],
)
async def test_names_of_the_schema_are_suggested_only_where_introspection_is_on(query, variables):
    open_, closed = await shown(query, variables), await shown(query, variables, hints=False)
    assert "Did you mean" in str(open_)
    assert "Did you mean" not in str(closed)
    assert all(error["message"].strip() for error in closed)


def test_a_root_field_without_a_declaration_stops_the_schema():
    @strawberry.type
    class Open:
        @strawberry.field
        def loose(self) -> str:
            return ""

        @strawberry.field(extensions=public())
        def declared(self) -> str:
            return ""

        bare: str = ""

    for roots in ((Open,), (Query, Open), (Query, None, Open)):
        with pytest.raises(UndeclaredPermission, match=r"Open\.bare, Open\.loose\."):
            build_schema(*roots, conf=settings())
