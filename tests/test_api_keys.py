"""API keys from outside: made and ended by people, used by programs over HTTP and websocket. A5, J2."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import asyncpg
import httpx2
import pytest
import sqlalchemy as sa
import websockets

from core import security
from core.clock import now
from core.database import transaction
from domain.permissions import SCOPES, Permission
from models.api_keys import ApiKey
from models.audit import AuditEntry
from server import migrate
from tests.schema.roots import Root, arguments, ask, refusals, roots
from tests.support import databases, factories
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.processes import Api
from tests.support.waiting import until
from tests.test_migrations import scratch  # noqa: F401  a fixture

FIELDS = "id name mode status prefix scopes createdBy { id } expiresAt revokedAt lastUsedAt replacedById"
ERRORS = "userErrors { code message field }"
CREATE = f"""mutation($input: CreateApiKeyInput!) {{ createApiKey(input: $input) {{
  apiKey {{ {FIELDS} }} secret {ERRORS} }} }}"""
UPDATE = f"""mutation($input: UpdateApiKeyInput!) {{ updateApiKey(input: $input) {{
  apiKey {{ {FIELDS} }} {ERRORS} }} }}"""
REGENERATE = f"""mutation($input: RegenerateApiKeyInput!) {{ regenerateApiKey(input: $input) {{
  apiKey {{ {FIELDS} }} secret {ERRORS} }} }}"""
REVOKE = f"""mutation($input: RevokeApiKeyInput!) {{ revokeApiKey(input: $input) {{
  apiKey {{ {FIELDS} }} {ERRORS} }} }}"""
KEY = f"query($id: ID!) {{ apiKey(id: $id) {{ {FIELDS} }} }}"
KEYS = "query($live: Boolean) { apiKeys(live: $live) { totalCount nodes { id } } }"
CONTACTS = "{ contacts { totalCount } }"
WATCH = "subscription($id: ID!) { broadcastProgress(broadcastId: $id) { status } }"
SEND = "mutation($input: SendBroadcastInput!) { sendBroadcast(input: $input) { userErrors { code message } } }"
# Whether people need a second factor is for people to say.
OF_PEOPLE = {"updateAppSecurity", "setTyping", "takeNextConversation"}
LATER = {
    *(Permission.TRACK_EVENTS, Permission.UPLOAD_ATTACHMENTS, Permission.EDIT_LABELS),
    *(Permission.VIEW_CONVERSATIONS, Permission.EDIT_CONVERSATIONS, Permission.EDIT_ASSIGNMENT),
    *(Permission.VIEW_WORKFLOWS, Permission.EDIT_WORKFLOWS, Permission.RUN_WORKFLOWS, Permission.VIEW_SETTINGS),
    Permission.VIEW_WEBHOOKS,
}
OLD_KEY = "clxk2b9vq0000356h8j4z7d1m"
OLDER = f"""ALTER TABLE apps ADD api_key varchar;
UPDATE apps SET api_key = '{OLD_KEY}';
INSERT INTO apps (id, name, api_key) VALUES (gen_random_uuid(), 'Without', ' ');
ALTER TABLE apps ALTER COLUMN api_key SET NOT NULL"""  # noqa: S608


@pytest.fixture(scope="module")
def other_api(database: None) -> Iterator[Api]:
    """Another API process."""
    process = Api()
    process.start()
    yield process
    process.stop()


async def make(graph: Graph, *scopes: str, **fields: object) -> dict:
    """A key as the API gives it, with its secret."""
    return await graph.change(CREATE, name="Shop", scopes=scopes or ["VIEW_CONTACTS"], **fields)


async def set_(key: dict, **values: object) -> None:
    async with transaction() as session:
        await session.execute(sa.update(ApiKey).where(ApiKey.id == key["apiKey"]["id"]).values(**values))


async def is_alive(graph: Graph, key: dict) -> bool:
    answer = await graph.as_(key["secret"]).ask(CONTACTS)
    assert (answer.status, answer.codes) in [(200, []), (401, ["UNAUTHENTICATED"])]
    return answer.status == 200


async def test_a_program_asks_with_a_key_over_http(graph: Graph, team: Team) -> None:
    await factories.contacts(team.app_id, 3)
    made = await make(graph)
    assert made["apiKey"] | {"id": ""} == {
        "id": "",
        "name": "Shop",
        "mode": "LIVE",
        "status": "ACTIVE",
        "prefix": made["secret"][:16],
        "scopes": ["VIEW_CONTACTS"],
        "createdBy": {"id": str(team.user_id)},
        "expiresAt": None,
        "revokedAt": None,
        "lastUsedAt": None,
        "replacedById": None,
    }
    assert (await graph.as_(made["secret"]).data(CONTACTS))["contacts"] == {"totalCount": 3}
    shown = (await graph.data(KEY, id=made["apiKey"]["id"]))["apiKey"]
    assert shown["lastUsedAt"] is not None
    assert made["secret"] not in json.dumps(shown)


async def test_a_program_watches_with_a_key_over_websocket(graph: Graph, team: Team) -> None:
    made = await make(graph, "VIEW_BROADCASTS")
    draft = await factories.broadcast(team)
    async with graph.as_(made["secret"]).connect() as socket:
        assert await anext(socket.frames(WATCH, id=str(draft.id))) == {"status": "DRAFT"}


async def test_what_a_program_makes_is_its_own_in_the_audit_log(graph: Graph, team: Team) -> None:
    made = await make(graph, "CREATE_BROADCASTS", "EDIT_CONTACTS", mode="TEST")
    program = graph.as_(made["secret"])
    create = """mutation($input: CreateBroadcastInput!) { createBroadcast(input: $input) {
      broadcast { id createdBy { id } } userErrors { code } } }"""
    asked = {"title": "Hello", "body": "World", "target": {"targetType": "ALL_USERS"}}
    broadcast = (await program.change(create, **asked))["broadcast"]
    assert broadcast["createdBy"] is None
    async with transaction() as session:
        own = sa.select(AuditEntry.actor).where(AuditEntry.entity_id == broadcast["id"])
        assert (await session.scalars(own)).all() == [f"key:{made['apiKey']['id']}"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["OWN_ACCOUNT"]}, "scopes"),
        ({"scopes": ["VIEW_CONTACTS", "MANAGE_API_KEYS"]}, "scopes"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
        ({"expiresAt": "9999-12-31T23:59:59Z"}, "expiresAt"),
    ],
)
async def test_a_field_that_breaks_its_rule_is_named(graph: Graph, fields: dict, field: str) -> None:
    (error,) = await graph.refused(CREATE, **({"name": "Shop", "scopes": ["VIEW_CONTACTS"]} | fields))
    assert (error["code"], error["field"]) == ("BAD_USER_INPUT", [field])


async def test_name_and_scopes_are_changed_one_without_the_other(graph: Graph) -> None:
    made = await make(graph)
    id_ = made["apiKey"]["id"]
    renamed = (await graph.change(UPDATE, id=id_, name=" Reports "))["apiKey"]
    assert (renamed["name"], renamed["scopes"]) == ("Reports", ["VIEW_CONTACTS"])
    changed = (await graph.change(UPDATE, id=id_, scopes=["VIEW_TEAM", "VIEW_TEAM"]))["apiKey"]
    assert (changed["name"], changed["scopes"]) == ("Reports", ["VIEW_TEAM"])
    assert (await graph.as_(made["secret"]).ask(CONTACTS)).codes == ["FORBIDDEN"]


async def test_a_revoked_key_is_refused_with_the_next_request(graph: Graph, other_api: Api) -> None:
    made = await make(graph)
    assert await is_alive(graph, made)
    revoked = (await graph.as_(graph.token).change(REVOKE, id=made["apiKey"]["id"]))["apiKey"]
    assert (revoked["status"], revoked["revokedAt"] is None) == ("REVOKED", False)
    assert not await is_alive(graph, made)
    assert not await is_alive(Graph(other_api.graphql, other_api.socket, http=graph._http), made)


async def test_an_expired_key_is_refused(graph: Graph) -> None:
    made = await make(graph, expiresAt=(now() + timedelta(hours=1)).isoformat())
    assert (made["apiKey"]["status"], await is_alive(graph, made)) == ("EXPIRING", True)
    await set_(made, expires_at=now())
    await until(lambda: is_alive(graph, made), lambda alive: not alive)
    assert (await graph.data(KEY, id=made["apiKey"]["id"]))["apiKey"]["status"] == "EXPIRED"


async def test_a_replaced_key_works_for_the_overlap(graph: Graph) -> None:
    old = await make(graph)
    new = await graph.change(REGENERATE, id=old["apiKey"]["id"])
    shown = (await graph.data(KEY, id=old["apiKey"]["id"]))["apiKey"]
    assert (shown["status"], shown["replacedById"]) == ("EXPIRING", new["apiKey"]["id"])
    assert [await is_alive(graph, one) for one in (old, new)] == [True, True]
    (error,) = await graph.refused(REGENERATE, id=old["apiKey"]["id"])
    assert (error["code"], error["field"]) == ("CONFLICT", ["id"])
    await set_(old, expires_at=now())
    await until(lambda: is_alive(graph, old), lambda alive: not alive)
    assert await is_alive(graph, new)


async def test_a_key_replaced_without_overlap_is_refused_at_once(graph: Graph) -> None:
    old = await make(graph)
    new = await graph.change(REGENERATE, id=old["apiKey"]["id"], overlapHours=0)
    assert [await is_alive(graph, one) for one in (old, new)] == [False, True]


async def test_keys_are_listed_newest_first_by_whether_they_work(graph: Graph) -> None:
    dead, *alive = [(await make(graph))["apiKey"]["id"] for _ in range(3)]
    await graph.change(REVOKE, id=dead)
    expected = {None: [*alive[::-1], dead], True: alive[::-1], False: [dead]}
    for live, ids in expected.items():
        found = (await graph.data(KEYS, live=live))["apiKeys"]
        assert (found["totalCount"], [node["id"] for node in found["nodes"]]) == (len(ids), ids)


@pytest.mark.parametrize(
    "change",
    [
        lambda graph, made: graph.change(REVOKE, id=made["apiKey"]["id"]),
        lambda graph, made: graph.change(REGENERATE, id=made["apiKey"]["id"], overlapHours=0),
        lambda graph, made: graph.change(UPDATE, id=made["apiKey"]["id"], scopes=["VIEW_CONTACTS"]),
        lambda _graph, made: set_(made, expires_at=now()),
    ],
    ids=["revoked", "replaced", "other scopes", "expired"],
)
async def test_an_open_websocket_closes_when_its_key_ends(graph: Graph, other_api: Api, team: Team, change) -> None:
    made = await make(graph, "VIEW_BROADCASTS")
    await factories.contacts(team.app_id, 1)
    draft = await factories.broadcast(team)
    watching = Graph(other_api.graphql, other_api.socket, made["secret"], graph._http)
    async with watching.connect() as socket:
        await socket.start(WATCH, id=str(draft.id))
        assert (await socket.receive())["type"] == "next"
        await change(graph, made)
        with pytest.raises(websockets.ConnectionClosed):
            await socket.receive()
        assert socket.wire.close_code == 4403
        await graph.change(SEND, id=str(draft.id))
        with pytest.raises(websockets.ConnectionClosed):
            await socket.receive()


CREATE_CONTACT = """mutation($input: CreateContactInput!) { createContact(input: $input) {
  contact { id } userErrors { code } } }"""


@pytest.mark.parametrize("used_before", [True, False])
async def test_a_revoked_key_starts_nothing_more_over_an_open_websocket(
    graph: Graph, team: Team, used_before: bool
) -> None:
    made = await make(graph, "VIEW_CONTACTS", "EDIT_CONTACTS")
    async with graph.as_(made["secret"]).connect() as socket:
        if used_before:
            await socket.start(CONTACTS)
            assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]
        await graph.change(REVOKE, id=made["apiKey"]["id"])
        with suppress(websockets.ConnectionClosed):
            await socket.start(CREATE_CONTACT, input={"name": "After the revocation"})
        with pytest.raises(websockets.ConnectionClosed):
            await socket.receive()
        assert socket.wire.close_code == 4403
    assert (await graph.data(CONTACTS))["contacts"]["totalCount"] == 0


async def test_a_websocket_is_not_opened_with_a_wrong_key(graph: Graph) -> None:
    made = await make(graph)
    await graph.change(REVOKE, id=made["apiKey"]["id"])
    for wrong in (made["secret"], security.random_api_key("live"), "rk_live_no"):
        async with websockets.connect(graph.socket, subprotocols=["graphql-transport-ws"]) as wire:
            await wire.send(json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {wrong}"}}))
            with pytest.raises(websockets.ConnectionClosed):
                await wire.recv()
        assert wire.close_code == 4403


CLOSED = [root for root in roots() if root.permission]


@pytest.fixture(scope="module")
async def programs(database: None) -> dict[Permission, str]:
    """A key for each scope, of one app."""
    team = await factories.team()
    return {scope: (await factories.api_key(team, scope)).secret for scope in sorted(SCOPES)}


@pytest.mark.parametrize("root", [root for root in CLOSED if root.operation != "subscription"], ids=str)
async def test_a_key_opens_exactly_what_its_scope_names(
    graph: Graph, programs: dict[Permission, str], root: Root
) -> None:
    answers = {scope: await ask(graph.as_(key), root, arguments(root)) for scope, key in programs.items()}
    opened = {scope for scope, answer in answers.items() if "FORBIDDEN" not in refusals(answer)}
    assert opened == (set() if root.name in OF_PEOPLE else {root.permission} & SCOPES)
    assert [scope for scope, answer in answers.items() if "UNAUTHENTICATED" in refusals(answer)] == []


@pytest.mark.parametrize("root", [root for root in CLOSED if root.operation == "subscription"], ids=str)
async def test_a_key_watches_nothing_but_what_its_scope_names(
    graph: Graph, programs: dict[Permission, str], root: Root
) -> None:
    others = [key for scope, key in programs.items() if scope is not root.permission]
    found = [refusals(await ask(graph.as_(key), root, arguments(root))) for key in others]
    assert found == [["FORBIDDEN"]] * len(others)


async def test_a_key_is_in_no_table_and_in_no_log(team: Team, capfd: pytest.CaptureFixture[str]) -> None:
    process = Api(REPLYHQ_LOG_LEVEL="DEBUG")
    process.start()
    try:
        graph = Graph(process.graphql, process.socket, team.token)
        secrets = await _use_keys(graph)
        await graph.close()
    finally:
        process.stop()
    logged, stored = "".join(capfd.readouterr()), await _dump()
    assert logged
    for secret in secrets:
        assert security.token_hash(secret) in stored, "the dump is no dump"
        assert [text for text in (secret, secret[16:-6]) if text in logged or text in stored] == []


async def _use_keys(graph: Graph) -> list[str]:
    """Two keys, after everything that can be done with them, well and badly."""
    old = await make(graph, "VIEW_CONTACTS", "VIEW_BROADCASTS")
    new = await graph.change(REGENERATE, id=old["apiKey"]["id"])
    for secret in (old["secret"], new["secret"]):
        program = graph.as_(secret)
        await program.data(CONTACTS)
        assert (await program.ask(KEYS)).codes == ["FORBIDDEN"]
        assert (await program.ask("{")).codes != []
        assert (await program.ask("{ nothing }")).codes != []
        async with program.connect() as socket:
            await socket.start(WATCH, id="none")
            assert (await socket.receive())["type"] == "error"
        assert (await graph.as_(f"{secret[:-1]}-").ask(CONTACTS)).codes == ["UNAUTHENTICATED"]
    await graph.change(REVOKE, id=new["apiKey"]["id"])
    assert not await is_alive(graph, new)
    return [old["secret"], new["secret"]]


async def _dump() -> str:
    """Every row of every table, as text."""
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = [
            await connection.fetch(f'SELECT t::text FROM "{table}" t')  # noqa: S608  a name of a table
            for (table,) in tables
        ]
    finally:
        await connection.close()
    return "\n".join(row[0] for some in rows for row in some)


def test_the_single_key_of_an_older_database_becomes_the_first(scratch: str) -> None:  # noqa: F811
    migrate.downgrade("0003")
    databases.fill(scratch)
    databases.run(scratch, OLDER)
    for _ in range(2):
        migrate.upgrade()
        (row,) = databases.run(scratch, "SELECT app_id, name, mode, prefix, secret_hash, scopes FROM api_keys")
        assert tuple(row)[1:5] == ("First key", "LIVE", OLD_KEY[:8], security.token_hash(OLD_KEY))
        assert set(row["scopes"]) == SCOPES - LATER
        databases.run(scratch, "INSERT INTO apps (id, name) VALUES (gen_random_uuid(), 'New')")
        databases.run(scratch, "DELETE FROM apps WHERE name = 'New'")
        assert _contacts_by(OLD_KEY, OLD_KEY.upper()) == [{"contacts": {"totalCount": 2}}, None]
        migrate.downgrade("0003")
        kept = databases.run(scratch, "SELECT api_key FROM apps ORDER BY api_key")
        assert [one[0] for one in kept] == [" ", OLD_KEY]


def _contacts_by(*keys: str) -> list[dict | None]:
    """What an API of this database answers to programs with these keys; nothing to who is nobody."""
    process = Api()
    process.start()
    try:
        headers = [{"Authorization": f"Bearer {key}"} for key in keys]
        answers = [httpx2.post(process.graphql, json={"query": CONTACTS}, headers=one) for one in headers]
    finally:
        process.stop()
    return [None if answer.status_code == 401 else answer.json()["data"] for answer in answers]
