"""graphql-transport-ws on the wire: what a client may not do, and what it may."""

import pytest
from websockets.exceptions import InvalidStatus

from tests.server.face import running, settings

INIT = {"type": "connection_init"}
ACK = {"type": "connection_ack"}
HELLO = {"id": "1", "type": "subscribe", "payload": {"query": "{ hello }"}}
FOREVER = {"id": "1", "type": "subscribe", "payload": {"query": "subscription { forever }"}}
LONG = "x" * 400


def subscribe(**changed):
    return {**HELLO, **changed}


def payload(**changed):
    return {**HELLO, "payload": {**HELLO["payload"], **changed}}


BEFORE_INIT = {
    "subscribe before init": (HELLO, 4401),
    "no JSON": ("{", 4400),
    "empty text": ("", 4400),
    "NaN": ('{"type": NaN}', 4400),
    "binary": (b'{"type": "connection_init"}', 4400),
    "array": ([], 4400),
    "array around init": ([INIT], 4400),
    "null": ("null", 4400),
    "string": ('"x"', 4400),
    "number": ("5", 4400),
    "no type": ({}, 4400),
    "type null": ({"type": None}, 4400),
    "type list": ({"type": []}, 4400),
    "type object": ({"type": {}}, 4400),
    "type unknown": ({"type": "start"}, 4400),
    "type of the other side": (ACK, 4400),
    "type longer than a reason may be": ({"type": LONG}, 4400),
    "init payload string": ({**INIT, "payload": "x"}, 4400),
    "init payload list": ({**INIT, "payload": []}, 4400),
    "init payload false": ({**INIT, "payload": False}, 4400),
    "ping payload string": ({"type": "ping", "payload": "x"}, 4400),
}
AFTER_ACK = {
    "second init": (INIT, 4429),
    "no JSON": ("x", 4400),
    "binary": (b"{}", 4400),
    "array": ([], 4400),
    "null": ("null", 4400),
    "type unknown": ({"type": "stop", "id": "1"}, 4400),
    "next from the client": ({"type": "next", "id": "1", "payload": {}}, 4400),
    "subscribe without id": ({"type": "subscribe", "payload": HELLO["payload"]}, 4400),
    "id number": (subscribe(id=1), 4400),
    "id null": (subscribe(id=None), 4400),
    "id list": (subscribe(id=[]), 4400),
    "id object": (subscribe(id={}), 4400),
    "id empty": (subscribe(id=""), 4400),
    "id too long": (subscribe(id=LONG), 4400),
    "no payload": ({"type": "subscribe", "id": "1"}, 4400),
    "payload null": (subscribe(payload=None), 4400),
    "payload string": (subscribe(payload="x"), 4400),
    "payload list": (subscribe(payload=[]), 4400),
    "no query": (subscribe(payload={}), 4400),
    "query null": (payload(query=None), 4400),
    "query number": (payload(query=5), 4400),
    "query object": (payload(query={}), 4400),
    "variables list": (payload(variables=[]), 4400),
    "variables string": (payload(variables="{}"), 4400),
    "operationName number": (payload(operationName=5), 4400),
    "extensions list": (payload(extensions=[]), 4400),
    "complete without id": ({"type": "complete"}, 4400),
    "complete id null": ({"type": "complete", "id": None}, 4400),
    "complete id list": ({"type": "complete", "id": []}, 4400),
    "pong payload number": ({"type": "pong", "payload": 5}, 4400),
}


def table(probes):
    return pytest.mark.parametrize(("frame", "code"), probes.values(), ids=list(probes))


@table(BEFORE_INIT)
async def test_violation_before_init(face, frame, code):
    async with face.socket() as probe:
        await probe.send(frame)
        found, reason = await probe.closing()
    assert (found, bool(reason)) == (code, True)


@table(AFTER_ACK)
async def test_violation_after_ack(face, frame, code):
    async with face.opened() as probe:
        await probe.send(frame)
        found, reason = await probe.closing()
    assert (found, bool(reason)) == (code, True)


@pytest.mark.parametrize(
    "init", [INIT, {**INIT, "payload": None}, {**INIT, "payload": {}}, {**INIT, "payload": {"other": 1}, "id": 5}]
)
async def test_a_client_may_open_without_saying_who_it_is(face, init):
    async with face.socket() as probe:
        await probe.send(init)
        assert await probe.receive() == ACK


@pytest.mark.parametrize("ping", [{"type": "ping"}, {"type": "ping", "payload": None}, {"type": "ping", "payload": {}}])
async def test_ping_is_answered_before_and_after_init(face, ping):
    async with face.socket() as probe:
        await probe.send(ping)
        assert await probe.receive() == {"type": "pong"}
        await probe.send(INIT)
        assert await probe.receive() == ACK
        await probe.send(ping)
        assert await probe.receive() == {"type": "pong"}


@pytest.mark.parametrize("frame", [{"type": "pong"}, {"type": "complete", "id": "unknown"}])
async def test_what_needs_no_answer_gets_none(face, frame):
    async with face.opened() as probe:
        await probe.send(frame)
        assert await probe.alive()


@pytest.mark.parametrize("protocol", [None, "graphql-ws", "soap"])
async def test_only_the_one_protocol_is_spoken(face, protocol):
    async with face.socket(protocol=protocol) as probe:
        assert probe.connection.subprotocol is None
        assert await probe.closing() == (4406, "Subprotocol not acceptable")


async def test_an_id_in_use_closes_and_a_free_one_can_be_used_again(face):
    async with face.opened() as probe:
        for _ in range(2):
            await probe.send(HELLO)
            assert (await probe.receive())["type"] == "next"
            assert await probe.receive() == {"id": "1", "type": "complete"}
        await probe.send(FOREVER)
        assert (await probe.receive())["type"] == "next"
        await probe.send(HELLO)
        assert await probe.closing() == (4409, "Subscriber for 1 already exists")


async def test_a_reason_is_cut_to_what_a_close_frame_can_hold(face):
    identity = "é" * 100
    async with face.opened() as probe:
        await probe.send({**FOREVER, "id": identity})
        await probe.receive()
        await probe.send({**FOREVER, "id": identity})
        code, reason = await probe.closing()
    assert code == 4409
    assert 120 < len(reason.encode()) <= 123


async def test_who_does_not_open_in_time_is_closed(face):
    async with face.socket() as probe:
        assert await probe.closing() == (4408, "Connection initialisation timeout")


async def test_a_message_larger_than_allowed_closes():
    with running(settings(ws_max_message_bytes=300)) as small:
        async with small.opened() as probe:
            await probe.send(payload(query="{ hello }" + "#" * 300))
            code, _ = await probe.closing()
    assert code == 1009


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 101),
        ("own", 101),
        ("https://app.example.com", 101),
        ("https://app.example.com:443", 101),
        ("http://app.example.com", 403),
        ("https://evil.example.com", 403),
        ("https://app.example.com.evil.com", 403),
        ("null", 403),
    ],
)
async def test_a_page_of_another_origin_may_not_open(origin, status):
    with running(settings(allowed_origins=("https://app.example.com",))) as strict:
        given = strict.url if origin == "own" else origin
        try:
            async with strict.opened(origin=given):
                found = 101
        except InvalidStatus as refused:
            found = refused.response.status_code
    assert found == status


async def test_one_address_may_have_so_many_and_gets_its_place_back():
    with running(settings(ws_max_connections_per_ip=2)) as narrow:
        async with narrow.opened(), narrow.opened():
            with pytest.raises(InvalidStatus) as refused:
                async with narrow.socket():
                    pass
            assert refused.value.response.status_code == 429
        async with narrow.opened() as probe:
            assert await probe.alive()
