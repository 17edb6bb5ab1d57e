"""Operations over a websocket: each for itself, none disturbs another."""

import asyncio

import pytest

from core.errors import Unavailable
from domain.permissions import Permission
from tests.server import sample
from tests.server.face import WAIT, principal

BAD = {
    "syntax": ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
    "empty": ({"query": ""}, "BAD_USER_INPUT"),
    "unknown field": ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
    "unknown operation": ({"query": "query A { hello }", "operationName": "B"}, "OPERATION_RESOLUTION_FAILURE"),
    "unnamed operation": ({"query": "query A { hello } query B { hello }"}, "OPERATION_RESOLUTION_FAILURE"),
    "variable": ({"query": "query($n: Int!) { items(first: $n) { nodes { id } } }"}, "BAD_USER_INPUT"),
    "variable of a subscription": ({"query": "subscription($n: Int!) { count(to: $n) }"}, "BAD_USER_INPUT"),
    "too complex": ({"query": "{ items(first: 6000) { nodes { id } } }"}, "QUERY_TOO_COMPLEX"),
    "permission": ({"query": "subscription { guarded }"}, "UNAUTHENTICATED"),
    "too slow": ({"query": "{ slow }"}, "UNAVAILABLE"),
}


def codes(message):
    return [error["extensions"]["code"] for error in message["payload"]]


async def until(condition):
    async with asyncio.timeout(WAIT):
        while not condition():  # noqa: ASYNC110 - it comes true in the thread of the server
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("payload", "code"), BAD.values(), ids=list(BAD))
async def test_what_is_wrong_with_an_operation_is_its_own_error(face, payload, code):
    async with face.opened() as probe:
        await probe.subscribe("sibling", "subscription { forever }")
        assert (await probe.receive())["payload"] == {"data": {"forever": 0}}
        await probe.send({"id": "bad", "type": "subscribe", "payload": payload})
        message = await probe.receive()
        assert (message["id"], message["type"], codes(message)) == ("bad", "error", [code])
        assert await probe.alive()
        await probe.subscribe("bad", "{ hello }")
        assert (await probe.receive())["payload"]["data"] == {"hello": "hello world"}


async def test_null_members_of_a_payload_are_as_good_as_absent(face):
    async with face.opened() as probe:
        await probe.subscribe("1", "query A { hello }", variables=None, operationName=None, extensions=None)
        assert (await probe.receive())["payload"]["data"] == {"hello": "hello world"}
        assert await probe.receive() == {"id": "1", "type": "complete"}
        await probe.subscribe("1", "query A { hello }", operationName="")
        assert (await probe.receive())["payload"]["data"] == {"hello": "hello world"}


async def test_queries_and_mutations_give_one_next_with_their_cost(face):
    async with face.opened() as probe:
        await probe.subscribe("1", 'mutation { rename(name: "a") }')
        cost = {"cost": {"requestedQueryCost": 10, "maximumAvailable": 5000}}
        assert await probe.receive() == {
            "id": "1",
            "type": "next",
            "payload": {"data": {"rename": "a"}, "extensions": cost},
        }
        assert await probe.receive() == {"id": "1", "type": "complete"}


async def test_a_subscription_streams_and_completes(face):
    async with face.opened() as probe:
        await probe.subscribe("1", "subscription { count(to: 2) }")
        assert [await probe.receive() for _ in range(3)] == [
            {"id": "1", "type": "next", "payload": {"data": {"count": 0}}},
            {"id": "1", "type": "next", "payload": {"data": {"count": 1}}},
            {"id": "1", "type": "complete"},
        ]


async def test_a_stream_that_breaks_ends_with_a_masked_error_and_no_complete(face):
    async with face.opened() as probe:
        await probe.subscribe("1", "subscription { breaks }")
        assert (await probe.receive())["type"] == "next"
        message = await probe.receive()
        assert (message["type"], codes(message)) == ("error", ["INTERNAL_SERVER_ERROR"])
        assert "Quote this id" in message["payload"][0]["message"]
        assert "hunter2" not in str(message)
        assert await probe.alive()


async def test_a_stream_that_ends_with_a_foreseen_failure_says_which(face):
    async with face.opened() as probe:
        await probe.subscribe("1", 'subscription { breaks(how: "domain") }')
        await probe.receive()
        message = await probe.receive()
        assert message["payload"] == [{"message": "It is over.", "extensions": {"code": "BAD_USER_INPUT"}}]


async def test_field_errors_come_with_the_data(face):
    async with face.opened() as probe:
        await probe.subscribe("1", "{ hello boom invalid }")
        message = (await probe.receive())["payload"]
        assert message["data"] == {"hello": "hello world", "boom": None, "invalid": None}
        assert {error["extensions"]["code"] for error in message["errors"]} == {
            "INTERNAL_SERVER_ERROR",
            "BAD_USER_INPUT",
        }


async def test_context_and_loaders_are_new_for_each_operation_and_loaders_for_each_event(face):
    seen = []
    async with face.opened() as probe:
        for _ in range(2):
            await probe.subscribe("1", "subscription { loaders }")
            seen.append([(await probe.receive())["payload"]["data"]["loaders"].split() for _ in range(3)])
            assert (await probe.receive())["type"] == "complete"
    for events in seen:
        assert len({context for context, _ in events}) == 1
        assert len({loaders for _, loaders in events}) == 3


async def test_after_complete_nothing_is_sent_even_by_a_generator_that_will_not_stop(face):
    sample.closed.clear()
    async with face.opened() as probe:
        await probe.subscribe("1", "subscription { deaf }")
        await probe.receive()
        await probe.send({"id": "1", "type": "complete"})
        await probe.subscribe("1", "subscription { forever }")
        assert (await probe.receive())["payload"] == {"data": {"forever": 0}}
        await until(lambda: "deaf" in sample.closed)
        assert await probe.alive()


async def test_a_client_that_takes_nothing_loses_its_operations(face, monkeypatch):
    monkeypatch.setattr("server.graphql.adapter.SEND_SECONDS", 0.2)
    async with face.opened(max_queue=1) as probe:
        await probe.subscribe("idle", 'subscription { forever(name: "beside the flood") }')
        await probe.subscribe("1", "subscription { flood }")
        await until(lambda: "flood" in sample.closed and "beside the flood" in sample.closed)
        probe.connection.transport.abort()


@pytest.mark.parametrize("how", ["complete", "close", "abort", "violation"])
async def test_the_generator_is_closed_however_the_client_leaves(face, how):
    name = f"left by {how}"
    async with face.opened() as probe:
        await probe.subscribe("1", f'subscription {{ forever(name: "{name}") }}')
        await probe.receive()
        if how == "complete":
            await probe.send({"id": "1", "type": "complete"})
        elif how == "abort":
            probe.connection.transport.abort()
        elif how == "violation":
            await probe.send("[]")
        elif how == "close":
            await probe.connection.close()
        await until(lambda: name in sample.closed)


async def test_so_many_operations_at_once(face):
    async with face.opened() as probe:
        for number in range(3):
            await probe.subscribe(str(number), "subscription { forever }")
            await probe.receive()
        await probe.subscribe("one more", "{ hello }")
        message = await probe.receive()
        assert (message["id"], message["type"], codes(message)) == ("one more", "error", ["RATE_LIMITED"])
        await probe.send({"id": "0", "type": "complete"})
        await probe.subscribe("one more", "{ hello }")
        assert (await probe.receive())["type"] == "next"


@pytest.mark.parametrize("key", ["Authorization", "authorization"])
async def test_who_asks(face, key):
    face.door.known["good"] = known = principal(Permission.VIEW_BROADCASTS)
    async with face.socket() as probe:
        await probe.send({"type": "connection_init", "payload": {key: "Bearer good"}})
        assert await probe.receive() == {"type": "connection_ack"}
        await probe.subscribe("1", "{ whoami secret }")
        assert (await probe.receive())["payload"]["data"] == {"whoami": known.actor, "secret": "seen"}


@pytest.mark.parametrize("credentials", ["Bearer bad", "Bearer ", "", "Basic dTpw", 5, [], {}])
async def test_a_bad_token_closes_so_that_the_client_comes_back_with_another(face, credentials):
    async with face.socket() as probe:
        await probe.send({"type": "connection_init", "payload": {"Authorization": credentials}})
        code, reason = await probe.closing()
    assert code == 4403
    assert reason.startswith("Forbidden: ")


async def test_a_proof_that_breaks_or_hangs_asks_the_client_to_come_back_later(face, monkeypatch):
    monkeypatch.setattr("server.graphql.websocket.PROOF_SECONDS", 0.1)
    face.door.known |= {"bug": RuntimeError("hunter2"), "away": Unavailable("Away.")}
    face.door.hangs.add("hangs")
    for token in ("bug", "away", "hangs"):
        async with face.socket() as probe:
            await probe.send({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}})
            assert await probe.closing() == (1013, "Try again later")


async def test_a_client_that_leaves_while_it_is_proven_leaves_nothing_behind(face, monkeypatch):
    monkeypatch.setattr("server.graphql.websocket.PROOF_SECONDS", 0.3)
    face.door.hangs.add("hangs")
    async with face.socket() as probe:
        await probe.send({"type": "connection_init", "payload": {"Authorization": "Bearer hangs"}})
        await until(lambda: "hangs" in face.door.asked)
        probe.connection.transport.abort()
    await until(lambda: not face.view.sockets._addresses)
