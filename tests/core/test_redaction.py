"""The net below the rule that logs hold no secret and no message body."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from core import redaction
from core.database import transaction
from core.redaction import CAUSES, clean, redact, traced

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ"
HIDES = [
    (f"token {JWT} was refused", "token [hidden] was refused"),
    ("rk_live_canary1234 and rk_test_canary", "[hidden] and [hidden]"),
    ("signed by whsec_Y2FuYXJ5+/8=", "signed by [hidden]"),
    ("Authorization: Bearer canary.x-y", "Authorization: Bearer [hidden]"),
    ("basic Y2FuYXJ5", "basic [hidden]"),
    ("to ada.canary+x@mail.example.com now", "to [hidden] now"),
    ("call +49 (151) 2233-4455", "call [hidden]"),
    ("postgresql://replyhq:canary@db:5432/x", "postgresql://[hidden]@db:5432/x"),
    ("GET /graphql?query=canary HTTP/1.1", "GET /graphql?[hidden] HTTP/1.1"),
    ("duplicate key\nDETAIL: Key (email)=(canary) already exists.", "duplicate key\\nDETAIL: [hidden]"),
    ("<Task finished exception=ValueError('canary (x)')>", "<Task finished exception=ValueError([hidden])>"),
    ("one\nforged\r\x1b[31mline\u2028", "one\\nforged\\r\\x1b[31mline\\u2028"),
]
STAYS = ["2026-11-24T00:17:41.044016Z", "01a20ade-83c5-7684-8571-78a177f1cc7a", "10 < 12?", "127.0.0.1:8000", "basics"]


@pytest.mark.parametrize(("text", "shown"), HIDES)
def test_what_looks_like_a_secret_is_cut_out(text: str, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize("text", STAYS)
def test_what_is_needed_stays(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    "name", ["password", "access_token", "Authorization", "api_key", "code", "body", "title", "variables", "email"]
)
def test_a_name_that_means_a_secret_hides_whatever_it_holds(name: str) -> None:
    for value in ("canary", 123456, ["canary"], {"a": "canary"}):
        assert redact(None, "info", {name: value, "n": {"deep": [{name: value}]}}) == {
            name: "[hidden]",
            "n": {"deep": [{name: "[hidden]"}]},
        }


def test_other_names_keep_what_they_hold() -> None:
    event: dict[str, Any] = {"event": "sent", "n": 3, "ok": True, "none": None, "seconds": 0.5, "path": ["a", 1]}
    assert redact(None, "info", event) == event
    assert redact(None, "info", {"error": ValueError("ada@example.com")}) == {"error": "[hidden]"}


def told(error: BaseException) -> str:
    return traced((type(error), error, error.__traceback__))


def test_an_exception_says_where_and_of_which_kind_but_no_value() -> None:
    canary = "canary"
    try:
        try:
            {}[canary]
        except KeyError as error:
            raise ValueError(canary) from error
    except ValueError as error:
        text = told(error)
    assert canary not in text
    assert text.startswith("builtins.ValueError\n")
    assert "\nbuiltins.KeyError\n" in text
    assert text.count(f'  File "{__file__}", line ') == 2


def test_what_our_own_code_got_wrong_is_said() -> None:
    assert told(TypeError("f() takes 1 argument")) == "builtins.TypeError: f() takes 1 argument"
    assert (
        told(ConnectionRefusedError(111, "canary")) == "builtins.ConnectionRefusedError: [Errno 111] Connection refused"
    )


def test_a_group_tells_its_members_and_a_circle_ends() -> None:
    assert told(ExceptionGroup("canary", [ValueError("canary"), KeyError("canary")])) == (
        "builtins.ExceptionGroup\nbuiltins.ValueError\nbuiltins.KeyError"
    )
    one, two = ValueError(), KeyError()
    one.__cause__, two.__cause__ = two, one
    assert told(one).count("\n") == CAUSES - 1


async def failing(statement: str) -> DBAPIError:
    with pytest.raises(DBAPIError) as raised:
        async with transaction() as session:
            await session.execute(sa.text(statement))
    return raised.value


async def test_a_failing_statement_tells_its_state_and_no_value() -> None:
    error = await failing("SELECT ('cana' || 'ry')::uuid")
    assert "canary" in str(error)
    assert "canary" not in told(error)
    assert "sqlstate 22P02" in told(error)


async def test_a_broken_constraint_is_named() -> None:
    text = told(await failing("INSERT INTO apps (id, name) VALUES (NULL, 'canary')"))
    assert "canary" not in text
    assert text.startswith("sqlalchemy.exc.IntegrityError")
    assert "sqlstate 23502, table_name apps, column_name id" in text


def test_a_failed_task_that_nobody_asks_about_keeps_its_message() -> None:
    async def fail() -> None:
        raise ValueError("canary")

    async def run() -> str:
        task = asyncio.create_task(fail())
        await asyncio.wait([task])
        said = repr(task)
        task.exception()
        return said

    said = asyncio.run(run())
    assert "canary" in said
    assert "canary" not in redaction.clean(said)
