"""PostgreSQL or Redis lost under a running API: clear refusals, nothing let in, and recovery by itself."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.commands import replyhq
from tests.support.graph import Graph
from tests.support.own_servers import OwnServers
from tests.support.processes import Api
from tests.support.waiting import until
from tests.test_broadcasts import CREATE, PROGRESS, SEND, create

EMAIL, PASSWORD = "owner@example.com", "a password of the tests"
SIGN_IN = """mutation($input: SignInInput!) {
  signIn(input: $input) { accessToken userErrors { code } }
}"""
QUERY = "{ broadcasts(first: 1) { nodes { id } } }"
CONTACT = """mutation($input: CreateContactInput!) {
  createContact(input: $input) { contact { id } userErrors { code } }
}"""
DEVICE = "mutation($input: RegisterDeviceInput!) { registerDevice(input: $input) { token userErrors { code } } }"
DRAFT = {"title": "Hello", "body": "World", "target": {"targetType": "ALL_USERS"}}
WRONG = "not the password of the tests"
TRIES = 10


class Ground(OwnServers):
    """Servers of their own, and an API upon them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.environment |= {"REPLYHQ_NAMESPACE": "outages"}
        self.api = Api(**self.environment)


@pytest.fixture(scope="module")
async def ground() -> AsyncIterator[Ground]:
    folder = Path(tempfile.mkdtemp(prefix="replyhq-outages-"))
    folder.chmod(0o711)
    made = Ground(folder / "state")
    assert (await replyhq("migrate", **made.environment)).code == 0
    words = ("create-app", "--name", "A", "--email", EMAIL, "--owner-name", "B", "--password", PASSWORD)
    created = await replyhq(*words, **made.environment)
    assert created.code == 0, created.err
    made.api.start()
    yield made
    made.api.stop()
    made.servers.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
async def owner(ground: Ground) -> AsyncIterator[Graph]:
    stranger = Graph(ground.api.graphql, ground.api.socket)
    tokens = await stranger.change(SIGN_IN, email=EMAIL, password=PASSWORD)
    yield stranger.as_(tokens["accessToken"])
    await stranger.close()


async def ready(graph: Graph, status: int) -> None:
    url = graph.graphql.replace("/graphql", "/readyz")
    await until(lambda: graph._http.get(url), lambda answer: answer.status_code == status)


async def test_without_postgresql_everything_answers_503_until_it_is_back(ground: Ground, owner: Graph) -> None:
    stranger = owner.as_(None)
    async with owner.connect() as socket:
        ground.lose_postgresql()
        await ready(owner, 503)

        answers = [
            await owner.ask(QUERY),
            await owner.ask(CREATE, input=DRAFT),
            await stranger.ask(SIGN_IN, input={"email": EMAIL, "password": PASSWORD}),
        ]
        await socket.start(QUERY)
        over_socket = await socket.receive()
        ended = await socket.receive()

        ground.find_postgresql()
        await ready(owner, 200)
        assert (await owner.ask(QUERY)).status == 200
        await socket.start(QUERY)
        assert "errors" not in (await socket.receive())["payload"]

    assert [(answer.status, answer.codes) for answer in answers] == [(503, ["UNAVAILABLE"])] * 3
    for answer in answers:
        assert "127.0.0.1" not in str(answer.body)
    assert [error["extensions"]["code"] for error in over_socket["payload"]["errors"]] == ["UNAVAILABLE"]
    assert ended["type"] == "complete"


async def test_without_redis_signing_in_stays_limited_and_the_rest_works(ground: Ground, owner: Graph) -> None:
    stranger = owner.as_(None)
    contact = (await owner.change(CONTACT, name="Ada"))["contact"]
    await owner.change(DEVICE, contactId=contact["id"], platform="WEB")
    broadcast_id = await create(owner)
    async with owner.connect() as socket:
        frames = socket.frames(PROGRESS, id=broadcast_id)
        assert (await anext(frames))["status"] == "DRAFT"
        ground.servers.stop_valkey()
        await ready(owner, 503)

        wrong = {"email": "somebody@example.com", "password": WRONG}
        tries = [await stranger.ask(SIGN_IN, input=wrong) for _ in range(TRIES + 1)]
        signed_in = await stranger.change(SIGN_IN, email=EMAIL, password=PASSWORD)
        assert (await owner.as_(signed_in["accessToken"]).ask(QUERY)).status == 200

        ground.servers.start_valkey()
        await ready(owner, 200)
        await owner.change(SEND, id=broadcast_id)
        assert (await anext(frames))["status"] == "SENDING"

    refused = [answer.field("signIn")["userErrors"] for answer in tries[:TRIES]]
    assert refused == [[{"code": "UNAUTHENTICATED"}]] * TRIES
    assert tries[TRIES].codes == ["RATE_LIMITED"]
