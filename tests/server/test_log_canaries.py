"""Secrets and message bodies put everywhere they can be, in a real run, and looked for in all that is logged."""

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import websockets
from websockets.exceptions import ConnectionClosed

from core.embedded.ports import free_port
from tests.support import databases, mailed
from tests.support.graph import Graph
from tests.support.processes import Api, Process, clock, worker
from tests.support.waiting import until
from tests.test_broadcasts import CREATE, RECEIVE, SEND

SIGN_UP = """mutation($input: SignUpInput!) { signUp(input: $input) {
  accessToken refreshToken userErrors { code message } } }"""
SIGN_IN = "mutation($input: SignInInput!) { signIn(input: $input) { accessToken userErrors { code message } } }"
REFRESH = "mutation($input: RefreshSessionInput!) { refreshSession(input: $input) { userErrors { code message } } }"
CONTACT = """mutation($input: CreateContactInput!) {
  createContact(input: $input) { contact { id } userErrors { code message } } }"""
DEVICE = (
    "mutation($input: RegisterDeviceInput!) { registerDevice(input: $input) { token userErrors { code message } } }"
)
WRITTEN = 'mutation { registerDevice(input: { contactId: "%s", platform: IOS, pushToken: "%s" }) { token } }'
RESET = "mutation($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { userErrors { code } } }"
PROTOCOL = "graphql-transport-ws"
MARK = f"canary{secrets.token_hex(4)}"
# Rows that are refused by the database alone: to the product, a bug. Its error quotes the whole row.
TRAPS = {
    "devices": f"push_token NOT LIKE '{MARK}bug%'",
    "broadcasts": f"title NOT LIKE '{MARK}bug%'",
    "in_app_messages": f"body NOT LIKE '{MARK}late%'",
}


@dataclass
class Run:
    """The processes of one run, and what was given to them that nobody may find again."""

    api: Api
    log: Path
    json: bool
    others: list[Process]
    canaries: set[str] = field(default_factory=set)

    def canary(self, value: str) -> str:
        """`value`, noted as one that must not turn up."""
        self.canaries.add(value)
        return value

    def mark(self, what: str) -> str:
        return self.canary(f"{MARK}{what}{secrets.token_hex(4)}")


def captured(process: Process, log: Path) -> None:
    process._command = ["sh", "-c", 'exec "$@" >>"$0" 2>&1', str(log), *process._command]


@pytest.fixture(scope="module")
def traps(database: None) -> Iterator[None]:
    """The traps of this module, in place."""
    url = os.environ["DATABASE_URL"]
    for table, rule in TRAPS.items():
        databases.run(url, f"ALTER TABLE {table} ADD CONSTRAINT canary CHECK ({rule}) NOT VALID")
    yield
    for table in TRAPS:
        databases.run(url, f"ALTER TABLE {table} DROP CONSTRAINT canary")


@pytest.fixture(scope="module", params=[True, False], ids=["JSON", "text"])
def run(request: pytest.FixtureRequest, traps: None) -> Iterator[Run]:
    """API, worker and clock that tell everything they have to tell."""
    folder = Path(tempfile.mkdtemp())
    settings = {
        "REPLYHQ_LOG_LEVEL": "DEBUG",
        "REPLYHQ_LOG_JSON": str(request.param),
        "REPLYHQ_SIGN_UP_OPEN": "true",
        # A mail server, that nobody runs: without one a developer finds the links of mails in the log.
        "REPLYHQ_SMTP_URL": f"smtp://127.0.0.1:{free_port(None)}",
        "REPLYHQ_NAMESPACE": f"canaries-{request.param}",
    }
    made = Run(Api(**settings), folder / "log", request.param, [worker(**settings), clock(**settings)])
    for process in (made.api, *made.others):
        captured(process, made.log)
        process.start()
    yield made
    for process in (made.api, *made.others):
        process.stop()
    shutil.rmtree(folder)


async def accounts(run: Run, stranger: Graph) -> Graph:
    """Sign up, sign in rightly and wrongly, renew."""
    email, password = run.canary(f"{MARK}{secrets.token_hex(4)}@example.com"), run.mark("password")
    asked = {"appName": run.mark("app"), "name": run.mark("person"), "email": email, "password": password}
    tokens = await stranger.change(SIGN_UP, **asked)
    owner = stranger.as_(run.canary(tokens["accessToken"]))
    await stranger.change(REFRESH, refreshToken=run.canary(tokens["refreshToken"]))
    run.canary((await stranger.change(SIGN_IN, email=email, password=password))["accessToken"])
    await stranger.change(RESET, email=email)
    run.canary(await mailed.link_token(email))
    for wrong in ({"email": email}, {"email": run.canary(f"{MARK}nobody@example.com")}):
        refused = await stranger.refused(SIGN_IN, **wrong, password=run.mark("wrong"))
        assert MARK not in str(refused)
    assert MARK not in str(await stranger.refused(REFRESH, refreshToken=run.mark("refresh")))
    return owner


async def sending(run: Run, owner: Graph) -> None:
    """A broadcast that arrives, and one that breaks in the worker."""
    person = {
        "name": run.mark("contact"),
        "emails": [run.canary(f"{MARK}{secrets.token_hex(4)}@mail.example.com")],
        "phones": [run.canary(f"+4915{secrets.randbelow(10**9):09}")],
        "attributes": {"note": run.mark("attribute")},
    }
    contact = (await owner.change(CONTACT, **person))["contact"]
    token = (await owner.change(DEVICE, contactId=contact["id"], platform="ANDROID", pushToken=run.mark("push")))[
        "token"
    ]
    device = owner.as_(run.canary(token))
    target = {"targetType": "ALL_USERS"}
    async with device.connect() as socket:
        frames = socket.frames(RECEIVE, seconds=40)
        for body in (run.mark("late"), run.mark("body")):
            content = {"title": run.mark("title"), "body": body, "data": {"go": run.mark("data")}}
            made = (await owner.change(CREATE, **content, target=target))["broadcast"]
            await owner.change(SEND, id=made["id"])
        assert (await anext(frames))["body"] == body


async def bugs(run: Run, owner: Graph) -> None:
    """Operations that fail for a reason nobody foresaw; the answers tell nothing of what was given."""
    contact = (await owner.change(CONTACT, name=run.mark("contact")))["contact"]["id"]
    created = await owner.ask(DEVICE, input={"contactId": contact, "platform": "IOS", "pushToken": run.mark("bug")})
    content = {"title": run.mark("bug"), "body": run.mark("body"), "target": {"targetType": "ALL_USERS"}}
    drafted = await owner.ask(CREATE, input=content)
    written = await owner.ask(WRITTEN % (contact, run.mark("bug")))
    async with owner.connect() as socket:
        await socket.start(CREATE, input=content)
        over_socket = await socket.receive()
    for answer in (created, drafted, written):
        assert answer.codes == ["INTERNAL_SERVER_ERROR"]
        assert MARK not in str(answer.body)
    assert "Quote this id" in str(over_socket)
    assert MARK not in str(over_socket)


async def nonsense(run: Run, owner: Graph) -> None:
    """Requests that are no good in every way."""
    known = {"Content-Type": "application/json"}
    async with httpx2.AsyncClient() as http:
        answers = [
            await http.post(run.api.graphql, content=f'{{"query": "{run.mark("json")}', headers=known),
            await http.post(run.api.graphql, content=f'["{run.mark("batch")}"]', headers=known),
            await http.post(run.api.graphql, content=run.mark("type")),
            await http.get(run.api.graphql, params={"query": run.mark("url"), "variables": run.mark("url")}),
            await http.get(run.api.url + "/nothing", params={"token": run.mark("query")}),
            *[
                await http.post(
                    run.api.graphql, json={"query": "{ sessions { id } }"}, headers={"Authorization": value}
                )
                for value in (run.mark("bare"), f"Basic {run.mark('basic')}", f"Bearer {run.mark('bearer')}")
            ],
            await http.get(
                run.api.graphql, headers={"Cookie": run.mark("cookie"), "X-Request-Id": run.mark("%") + "%"}
            ),
        ]
    for answer in answers:
        assert answer.status_code in {400, 401, 404, 415}
        assert MARK not in answer.text + str(answer.headers)
    # What a client wrote into its own document GraphQL may quote to it; the logs may not.
    await owner.ask(f"{{ {run.mark('field')} }}")
    await owner.ask(f'{{ broadcast(id: "{run.mark("literal")}") {{ id }} }}')
    await owner.ask(SEND, input={"id": run.mark("variable")})
    await owner.ask(CONTACT, input={run.mark("key"): 1})


async def sockets(run: Run) -> None:
    """Websockets that are closed for what they send."""
    first_messages = [
        json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {run.mark('socket')}"}}),
        json.dumps({"type": "connection_init", "payload": {"Authorization": run.mark("socket")}}),
        json.dumps({"type": run.mark("type")}),
        run.mark("frame"),
    ]
    for message in first_messages:
        address = f"{run.api.socket}?token={run.mark('address')}"
        async with websockets.connect(address, subprotocols=[PROTOCOL], compression=None) as wire:
            await wire.send(message)
            with suppress(ConnectionClosed):
                while True:
                    await wire.recv()
            assert MARK not in str(wire.close_reason)


async def test_nothing_that_is_secret_is_logged(run: Run) -> None:
    stranger = Graph(run.api.graphql, run.api.socket)
    owner = await accounts(run, stranger)
    await sending(run, owner)
    await bugs(run, owner)
    await nonsense(run, owner)
    await sockets(run)
    await stranger.close()

    log = await until(_reader(run), _is_complete)

    assert [canary for canary in run.canaries if canary in log] == []
    assert MARK not in log
    if run.json:
        # Dramatiq's parent process, which handles no message, has logs of its own.
        lines = [line for line in log.splitlines() if "[dramatiq.MainProcess]" not in line]
        assert all(isinstance(json.loads(line), dict) for line in lines)


def _is_complete(text: str) -> bool:
    return "CheckViolation" in text and "mail not sent" in text and text.count("operation failed") == 4


def _reader(run: Run) -> Any:
    async def read() -> str:
        return run.log.read_text()

    return read
