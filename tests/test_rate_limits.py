"""Rate limits as callers meet them: over HTTP and websocket, across processes, with Redis gone."""

import asyncio
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import websockets
from websockets.exceptions import ConnectionClosed

from core.database import transaction
from core.ids import new_id
from models.apps import App
from tests.core.valkey_server import ValkeyServer
from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import Answer, Graph, address, from_address
from tests.support.processes import Api
from tests.support.waiting import until

REAL = {
    "REPLYHQ_RATE_IP_PER_MINUTE": "100",
    "REPLYHQ_RATE_USER_PER_MINUTE": "1000",
    "REPLYHQ_RATE_DEVICE_PER_MINUTE": "600",
    "REPLYHQ_RATE_APP_PER_MINUTE": "20000",
    "REPLYHQ_RATE_ALL_DEVICES_PER_MINUTE": "300000",
    "REPLYHQ_RATE_BROADCASTS_PER_HOUR": "10",
    "REPLYHQ_RATE_TEST_BROADCASTS_PER_HOUR": "60",
}
ORIGIN = "https://app.example.com"
NOTHING = "{ __typename }"
SIGN_IN = "signIn(input: {email: $email, password: $password}) { userErrors { code } }"
UPDATE = """mutation($input: UpdateRateLimitsInput!) { updateRateLimits(input: $input) {
  app { rateLimits { userPerMinute { value isDefault } addressPerMinute { value isDefault } } }
  userErrors { code field } } }"""
PERIOD = {"user": 0.06, "ip": 0.6}


@pytest.fixture(scope="module")
def apis(database: None) -> Iterator[tuple[Api, Api]]:
    """Two API processes with the real numbers."""
    both = Api(**REAL, REPLYHQ_ALLOWED_ORIGINS=f'["{ORIGIN}"]'), Api(**REAL)
    for api in both:
        api.start()
    yield both
    for api in both:
        api.stop()


@pytest.fixture
async def callers(apis: tuple[Api, Api], team: Team) -> AsyncIterator[tuple[Graph, Graph]]:
    """The owner of a new app, from an address of their own, at each of the two."""
    ip = address()
    both = from_address(apis[0], team.token, ip), from_address(apis[1], team.token, ip)
    yield both
    for one in both:
        await one.close()


@pytest.fixture
def owner(callers: tuple[Graph, Graph]) -> Graph:
    return callers[0]


async def limit(app_id: UUID, **numbers: int) -> None:
    """Give an app numbers before its first request."""
    async with transaction() as session:
        await session.execute(sa.update(App).where(App.id == app_id).values(rate_limits=numbers))


async def statuses(callers: tuple[Graph, ...], tasks: int, each: int) -> Counter[int]:
    """What `tasks` callers get who ask `each` times in a row, spread over the processes."""

    async def one(number: int) -> list[int]:
        return [(await callers[number % len(callers)].ask(NOTHING)).status for _ in range(each)]

    return Counter(status for found in await asyncio.gather(*map(one, range(tasks))) for status in found)


def told(answer: Answer) -> tuple[str | None, str | None]:
    return answer.headers.get("RateLimit-Policy"), answer.headers.get("RateLimit")


async def test_an_answer_tells_the_limit_that_is_nearest_to_its_end(owner: Graph, team: Team) -> None:
    assert told(await owner.ask(NOTHING)) == ('"user";q=1000;w=60', '"user";r=999;t=1')
    (device,) = await factories.contacts(team.app_id, 1)
    of_device = owner.as_(await factories.device_token(device))
    assert told(await of_device.ask(NOTHING)) == ('"device";q=600;w=60', '"device";r=599;t=1')
    assert told(await owner.as_(None).ask(NOTHING)) == ('"ip";q=100;w=60', '"ip";r=99;t=1')
    await limit((other := await factories.team()).app_id, app_per_minute=30, broadcasts_per_hour=1)
    assert told(await owner.as_(other.token).ask(NOTHING)) == ('"app";q=30;w=60', '"app";r=29;t=2')


async def test_every_kind_of_answer_tells_it(owner: Graph) -> None:
    for query in ("{", "{ nothing }", "mutation { signOut { nothing } }", "{ contact(id: 1) { id } }"):
        assert told(await owner.ask(query))[0] == '"user";q=1000;w=60', query
    refused = await owner._http.post(owner.graphql, content="{", headers={"Content-Type": "application/json"})
    assert (refused.status_code, refused.headers["RateLimit-Policy"]) == (400, '"ip";q=100;w=60')
    unknown = await owner.as_("nobody's").ask(NOTHING)
    assert (unknown.status, told(unknown)[0]) == (401, '"ip";q=100;w=60')


async def test_pages_elsewhere_may_read_them(owner: Graph) -> None:
    response = await owner._http.post(owner.graphql, json={"query": NOTHING}, headers={"Origin": ORIGIN})
    shown = response.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= set(shown)


async def test_a_limit_is_exact_across_tasks_and_processes(callers: tuple[Graph, Graph], team: Team) -> None:
    await limit(team.app_id, user_per_minute=2)
    assert await statuses(callers, tasks=8, each=3) == {200: 2, 429: 22}


async def test_the_hundred_and_first_of_an_address_is_refused(apis: tuple[Api, Api], team: Team) -> None:
    ip, begun = address(), time.monotonic()
    callers = from_address(apis[0], None, ip), from_address(apis[1], None, ip)
    found = await statuses(callers, tasks=8, each=20)
    paid_back = (time.monotonic() - begun) / PERIOD["ip"]
    assert 100 <= found[200] <= 100 + paid_back + 1
    assert found[200] + found[429] == 160
    signed_in = from_address(apis[0], team.token, ip)
    assert (await signed_in.ask(NOTHING)).status == 200
    elsewhere = from_address(apis[0], None, address())
    assert (await elsewhere.ask(NOTHING)).status == 200
    for one in (*callers, signed_in, elsewhere):
        await one.close()


async def test_a_refusal_says_when_to_come_back_and_then_it_passes(owner: Graph, team: Team) -> None:
    await limit(team.app_id, user_per_minute=40)

    async def exhausted() -> Answer:
        return await owner.ask(NOTHING)

    refused = await until(exhausted, lambda answer: answer.status != 200)
    assert refused.status == 429
    assert refused.codes == ["RATE_LIMITED"]
    wait = refused.body["errors"][0]["extensions"]["retryAfterMs"]
    assert 0 < wait <= 1500
    assert refused.headers["Retry-After"] == str(-(-wait // 1000))
    assert told(refused) == ('"user";q=40;w=60', f'"user";r=0;t={-(-wait // 1000)}')
    await asyncio.sleep(int(refused.headers["Retry-After"]))
    assert (await owner.ask(NOTHING)).status == 200


async def test_tokens_that_prove_nothing_spend_the_address_and_nobody_behind_it(
    apis: tuple[Api, Api], team: Team
) -> None:
    ip = address()
    guesser, neighbour = from_address(apis[0], "guessed", ip), from_address(apis[0], team.token, ip)
    found = await statuses((guesser,), tasks=8, each=20)
    assert set(found) == {401, 429}
    assert found[401] >= 100
    assert (await neighbour.ask(NOTHING)).status == 200
    assert await until(lambda: closing(apis[0], "guessed", ip), lambda code: code != 4403) == 1013
    for one in (guesser, neighbour):
        await one.close()


async def closing(api: Api, token: str, ip: str) -> int:
    """The code with which a websocket is closed that is opened with a token that proves nothing."""
    wire = websockets.connect(
        api.socket, subprotocols=["graphql-transport-ws"], additional_headers={"X-Forwarded-For": ip}
    )
    async with wire as socket:
        await socket.send(f'{{"type": "connection_init", "payload": {{"Authorization": "Bearer {token}"}}}}')
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 10)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


async def test_each_operation_of_a_websocket_spends_one(owner: Graph, team: Team) -> None:
    await limit(team.app_id, user_per_minute=2)
    async with owner.connect() as socket:
        for _ in range(2):
            await socket.start(NOTHING)
            assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]
        refused = await socket.start(NOTHING)
        message = await socket.receive()
        assert (message["id"], message["type"]) == (refused, "error")
        (error,) = message["payload"]
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert 0 < error["extensions"]["retryAfterMs"] <= 30_000
        await socket.wire.send('{"type": "ping"}')
        assert (await socket.receive())["type"] == "pong"
    assert (await owner.ask(NOTHING)).status == 429


TWENTY = " ".join(f"t{n}: team {{ totalCount }}" for n in range(20))
SPREAD = f"{{ ...F }} fragment F on Query {{ {TWENTY} }}"


@pytest.mark.parametrize(
    "query", [f"{{ {TWENTY} }}", SPREAD, f"query A {{ viewer {{ user {{ id }} }} }} query B {SPREAD}"]
)
async def test_root_fields_cost_as_much_as_one_by_one(owner: Graph, query: str) -> None:
    body = {"query": query, "operationName": "B" if "query B" in query else None}
    headers = {"Authorization": f"Bearer {owner.token}"}
    answer = await owner._http.post(owner.graphql, json=body, headers=headers)
    assert (answer.status_code, answer.json().get("errors")) == (200, None)
    assert answer.headers["RateLimit"].startswith(('"user";r=980;', '"user";r=981;')), "one may be paid back by then"


async def test_more_root_fields_than_are_left_are_refused_and_none_is_resolved(owner: Graph, team: Team) -> None:
    await limit(team.app_id, user_per_minute=30)

    async def asked() -> Answer:
        return await owner.ask(f"{{ {TWENTY} }}")

    refused = await until(asked, lambda answer: answer.status != 200)
    assert (refused.status, refused.codes) == (429, ["RATE_LIMITED"])
    assert "data" not in refused.body
    wait = refused.body["errors"][0]["extensions"]["retryAfterMs"]
    assert 0 < wait <= 60_000
    assert refused.headers["Retry-After"] == str(-(-wait // 1000))


async def test_what_is_not_valid_costs_one(owner: Graph) -> None:
    answer = await owner.ask("{ a: team { totalCount } b: team { totalCount } nothing }")
    assert answer.codes == ["GRAPHQL_VALIDATION_FAILED"]
    assert told(answer)[1] == '"user";r=999;t=1'


async def test_nobody_pays_for_root_fields_too(apis: tuple[Api, Api]) -> None:
    nobody = from_address(apis[0], None, address())
    answer = await nobody.ask(f"{{ {TWENTY} }}")
    assert set(answer.codes) == {"UNAUTHENTICATED"}
    assert str(told(answer)[1]).startswith(('"ip";r=80;', '"ip";r=81;'))
    await nobody.close()


async def test_root_fields_of_a_websocket_s_operation_cost_as_much(owner: Graph, team: Team) -> None:
    await limit(team.app_id, user_per_minute=30)
    async with owner.connect() as socket:
        await socket.start(f"{{ {TWENTY} }}")
        assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]
        await socket.start(f"{{ {TWENTY} }}")
        message = await socket.receive()
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "RATE_LIMITED")
        assert message["payload"][0]["extensions"]["retryAfterMs"] > 0
        await socket.start(NOTHING)
        assert (await socket.receive())["type"] == "next"


async def test_ten_sends_in_one_document_are_ten(callers: tuple[Graph, Graph], team: Team) -> None:
    await factories.contacts(team.app_id, 1)
    drafts = [(await factories.broadcast(team)).id for _ in range(12)]
    sends = [
        f's{n}: sendBroadcast(input: {{id: "{id_}"}}) {{ broadcast {{ status }} }}' for n, id_ in enumerate(drafts)
    ]
    answer = await callers[0].ask(f"mutation {{ {' '.join(sends[:11])} }}")
    assert answer.status == 200
    assert [name for name, payload in answer.body["data"].items() if payload is None] == ["s10"]
    (error,) = answer.body["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["s10"], "RATE_LIMITED")
    assert 350_000 < error["extensions"]["retryAfterMs"] <= 360_000
    assert 350 < int(answer.headers["Retry-After"]) <= 360
    assert (await callers[1].ask(f"mutation {{ {sends[11]} }}")).codes == ["RATE_LIMITED"]


async def test_sends_are_counted_across_tasks_and_processes(callers: tuple[Graph, Graph], team: Team) -> None:
    await factories.contacts(team.app_id, 1)
    drafts = [(await factories.broadcast(team)).id for _ in range(16)]

    async def send(number: int, id_: UUID) -> bool:
        query = f'mutation {{ sendBroadcast(input: {{id: "{id_}"}}) {{ broadcast {{ status }} }} }}'
        return (await callers[number % 2].ask(query)).codes == []

    assert (await asyncio.gather(*(send(*one) for one in enumerate(drafts)))).count(True) == 10


@pytest.mark.parametrize("tries", [2, 20, 30])
async def test_several_sign_ins_in_one_document_are_refused_and_none_is_tried(
    owner: Graph, team: Team, tries: int
) -> None:
    aliased = " ".join(f"a{n}: {SIGN_IN}" for n in range(tries))
    nobody, wrong = owner.as_(None), {"email": team.email, "password": "wrong password"}
    head = "($email: String!, $password: String!)"
    spread = f"mutation{head} {{ ...F a: {SIGN_IN} }} fragment F on Mutation {{ {SIGN_IN} }}"
    for query in (f"mutation{head} {{ {aliased} }}", spread):
        assert (await nobody.ask(query, **wrong)).codes == ["QUERY_TOO_COMPLEX"]
    one = f"mutation{head} {{ {SIGN_IN} }}"
    found = [await nobody.ask(one, **wrong) for _ in range(11)]
    assert [answer.codes for answer in found] == [[]] * 10 + [["RATE_LIMITED"]]


async def test_an_app_changes_its_numbers_within_seconds_and_no_other_app(
    callers: tuple[Graph, Graph], team: Team
) -> None:
    owner, elsewhere = callers
    assert told(await elsewhere.ask(NOTHING))[0] == '"user";q=1000;w=60'
    payload = await owner.change(UPDATE, userPerMinute=500, addressPerMinute=800)
    assert payload["app"]["rateLimits"] == {
        "userPerMinute": {"value": 500, "isDefault": False},
        "addressPerMinute": {"value": 800, "isDefault": False},
    }
    await until(lambda: elsewhere.ask(NOTHING), lambda answer: told(answer)[0] == '"user";q=500;w=60')
    other = await factories.team()
    assert told(await owner.as_(other.token).ask(NOTHING))[0] == '"user";q=1000;w=60'
    payload = await owner.change(UPDATE, userPerMinute=None)
    assert payload["app"]["rateLimits"] == {
        "userPerMinute": {"value": 1000, "isDefault": True},
        "addressPerMinute": {"value": 800, "isDefault": False},
    }
    (error,) = await owner.refused(UPDATE, appPerMinute=20_001)
    assert error == {"code": "BAD_USER_INPUT", "field": ["appPerMinute"]}


async def test_without_redis_the_proven_pass_with_an_alarm_and_nobody_is_counted_locally() -> None:
    valkey = ValkeyServer()
    await valkey.start()
    numbers = REAL | {"REPLYHQ_RATE_IP_PER_MINUTE": "3"}
    api = Api(**numbers, REDIS_URL=valkey.url, REPLYHQ_NAMESPACE=f"test-{new_id()}")
    team, ip = await factories.team(), address()
    await limit(team.app_id, user_per_minute=2)
    api.start()
    owner, nobody = from_address(api, team.token, ip), from_address(api, None, ip)
    try:
        assert await statuses((owner,), tasks=1, each=5) == {200: 2, 429: 3}
        valkey.stop()
        assert await statuses((owner,), tasks=4, each=5) == {200: 20}
        assert told(await owner.ask(NOTHING)) == (None, None)
        assert await statuses((nobody,), tasks=4, each=5) == {200: 3, 429: 17}
        assert uncounted(api) == 21
        await valkey.start()
        again = await until(lambda: owner.ask(NOTHING), lambda answer: told(answer) != (None, None))
        assert told(again) == ('"user";q=2;w=60', '"user";r=1;t=30')
    finally:
        await owner.close()
        await nobody.close()
        api.stop()
        valkey.stop()


def uncounted(api: Api) -> float:
    with urllib.request.urlopen(f"{api.url}/metrics", timeout=5) as answer:
        lines: list[Any] = answer.read().decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("replyhq_rate_limits_uncounted_total ")))
