"""The audit log as a team reads it: by GraphQL, and as a file."""

import csv
import io
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx2
import pytest
import sqlalchemy as sa

from core.clock import now
from core.database import transaction
from core.ids import new_id
from domain import auth, sessions
from domain.audit import export, exporting
from domain.audit.listing import Filter
from domain.principals import SYSTEM, Principal
from models.audit import AuditEntry
from models.team import Membership, Role
from server.exports import audit
from server.exports.downloads import _again, _table
from tests.support import downloads, factories
from tests.support.downloads import peak, rows
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.processes import Api

KILOBYTES = 4
"""Of one entry in a long log."""
LOG = """query($filter: AuditLogFilterInput, $first: Int, $after: String, $last: Int, $before: String) {
  auditLog(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
    totalCount
    nodes { id action actor user { email } entity entityId before after ip sessionId requestId createdAt }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""
CREATE = "mutation($input: CreateContactInput!) { createContact(input: $input) { contact { id } userErrors { code } } }"
UPDATE = "mutation($input: UpdateContactInput!) { updateContact(input: $input) { contact { id } userErrors { code } } }"
DRAFT = """mutation($input: CreateBroadcastInput!) {
  createBroadcast(input: $input) { broadcast { id } userErrors { code } } }"""
EDIT = """mutation($input: UpdateBroadcastInput!) {
  updateBroadcast(input: $input) { broadcast { id } userErrors { code } } }"""


async def log(graph: Graph, **wanted: Any) -> list[dict[str, Any]]:
    return (await graph.data(LOG, filter=wanted))["auditLog"]["nodes"]


async def entered(team: Team, **fields: Any) -> AuditEntry:
    given = {"actor": "system", "action": "test.made", "entity": "Test"} | fields
    entry = AuditEntry(id=new_id(), app_id=team.app_id, **given)
    async with transaction() as session:
        session.add(entry)
    return entry


async def test_an_entry_tells_who_changed_what_from_what_to_what(graph: Graph, team: Team) -> None:
    target = {"targetType": "ALL_USERS"}
    id_ = (await graph.change(DRAFT, title="Hello", body="World", target=target))["broadcast"]["id"]
    answer = await graph.ask(EDIT, input={"id": id_, "title": "Hello again"})
    updated, created = await log(graph, entityId=id_)
    assert (created["action"], updated["action"]) == ("broadcast.created", "broadcast.updated")
    assert (updated["before"], updated["after"]) == ({"title": "Hello"}, {"title": "Hello again"})
    assert created["before"] is None
    assert created["after"]["body"] == "World"
    assert updated["actor"] == f"user:{team.user_id}"
    assert updated["user"] == {"email": team.email}
    assert (updated["entity"], updated["entityId"], updated["ip"]) == ("Broadcast", id_, graph.ip)
    assert updated["requestId"] == answer.headers["X-Request-Id"]
    (session,) = await log(graph, actions=["session.started"])
    assert updated["sessionId"] == session["entityId"]


async def test_what_is_personal_is_told_to_have_changed_and_not_what_it_is(graph: Graph) -> None:
    contact = (await graph.change(CREATE, name="Ada Canary", emails=["canary@example.com"], plan="pro"))["contact"]
    await graph.change(UPDATE, id=contact["id"], name="Ada Canary Lovelace", plan=None)
    updated, created = await log(graph, entityId=contact["id"])
    assert updated["before"] == {"name": "•••", "plan": "pro"}
    assert updated["after"] == {"name": "•••", "plan": None}
    assert "anary" not in json.dumps([created, updated])


async def test_who_did_something_is_known_also_when_they_have_left(graph: Graph, team: Team) -> None:
    agent = await factories.team(Role.ADMIN, team.app_id)
    await graph.as_(agent.token).change(CREATE, name="Ada")
    async with transaction() as session:
        await session.execute(sa.delete(Membership).where(Membership.user_id == agent.user_id))
    (entry,) = await log(graph, actorId=str(agent.user_id), entity="Contact")
    assert entry["user"] == {"email": agent.email}


@pytest.mark.parametrize(
    "actor", ["system", "nobody", f"key:{UUID(int=1)}", f"device:{UUID(int=1)}", f"user:{UUID(int=1)}"]
)
async def test_what_no_person_did_has_no_user(graph: Graph, team: Team, actor: str) -> None:
    await entered(team, actor=actor)
    (entry,) = await log(graph, entity="Test")
    assert (entry["actor"], entry["user"]) == (actor, None)


async def test_pages_go_on_where_the_last_one_ended_newest_first(graph: Graph, team: Team) -> None:
    newest_first = [str((await entered(team)).id) for _ in range(5)][::-1]
    wanted = {"entity": "Test"}
    page = (await graph.data(LOG, filter=wanted, first=2))["auditLog"]
    assert (page["totalCount"], [one["id"] for one in page["nodes"]]) == (5, newest_first[:2])
    await entered(team)
    after = page["pageInfo"]["endCursor"]
    page = (await graph.data(LOG, filter=wanted, first=2, after=after))["auditLog"]
    assert [one["id"] for one in page["nodes"]] == newest_first[2:4]
    oldest = (await graph.data(LOG, filter=wanted, last=1))["auditLog"]
    assert [one["id"] for one in oldest["nodes"]] == newest_first[4:]


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"actorId": "me"}, "filter.actorId"),
        ({"entityId": "it"}, "filter.entityId"),
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "filter.until"),
        ({"actions": ["x"] * 51}, "filter.actions"),
    ],
)
async def test_a_filter_that_cannot_be_is_refused(graph: Graph, wanted: dict[str, Any], field: str) -> None:
    answer = await graph.ask(LOG, filter=wanted)
    assert answer.codes == ["BAD_USER_INPUT"]
    assert answer.body["errors"][0]["extensions"]["field"] == field


async def download(api: Api, token: str | None, method: str = "GET", **wanted: str) -> httpx2.Response:
    return await downloads.download(api, "/exports/audit.csv", token, method, **wanted)


async def test_a_file_has_what_the_log_has(api: Api, graph: Graph, team: Team) -> None:
    entry = await entered(
        team, actor=f"user:{team.user_id}", ip="2001:db8::1", entity_id=new_id(), after={"name": 'a "b",\r\nc €'}
    )
    await entered(team, entity="Other")
    answer = await download(api, team.token, entity="Test")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="audit-{now():%Y-%m-%d}.csv"'
    assert answer.headers["Cache-Control"] == "no-store"
    (row,) = rows(answer)
    assert row == {
        "created_at": entry.created_at.isoformat(),
        "action": "test.made",
        "actor": f"user:{team.user_id}",
        "email": team.email,
        "entity": "Test",
        "entity_id": str(entry.entity_id),
        "before": "",
        "after": '{"name":"a \\"b\\",\\r\\nc €"}',
        "ip": "2001:db8::1",
        "session_id": "",
        "request_id": "",
        "id": str(entry.id),
    }
    assert answer.content.endswith(b"\r\n")


async def test_an_export_is_entered_with_what_it_is_of(api: Api, graph: Graph, team: Team) -> None:
    since = now().isoformat()
    answer = await download(api, team.token, actions="a.b,c.d", since=since)
    assert rows(answer) == []
    (entry,) = await log(graph, actions=["audit.exported"])
    assert entry["after"] == {"actions": ["a.b", "c.d"], "since": since}
    assert entry["user"] == {"email": team.email}
    assert entry["requestId"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
async def test_no_cell_is_a_formula(api: Api, team: Team, start: str) -> None:
    text = f"{start}HYPERLINK(1)"
    await entered(team, action=text, entity="Test", ip=text, request_id=text, actor=text)
    (row,) = rows(await download(api, team.token, entity="Test"))
    assert {row[name] for name in ("action", "ip", "request_id", "actor")} == {f"'{text}"}


async def test_a_file_is_of_the_own_app_and_of_what_is_asked_for(api: Api, team: Team) -> None:
    other, person, at = await factories.team(), new_id(), now()
    await entered(other)
    mine = await entered(team, actor=f"key:{person}", entity_id=person, ip="10.0.0.9")
    await entered(team, created_at=at - timedelta(hours=1))
    for wanted in (
        {"actorId": str(person)},
        {"entityId": str(person)},
        {"ip": "10.0.0.9"},
        {"since": at.isoformat(), "entity": "Test"},
        {"actions": "test.made", "since": at.isoformat(), "until": now().isoformat()},
    ):
        assert [row["id"] for row in rows(await download(api, team.token, **wanted))] == [str(mine.id)]
    assert [row["id"] for row in rows(await download(api, other.token, actorId=str(person)))] == []


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"since": "yesterday"}, "since is an instant with its offset, like 2026-01-24T10:00:00Z."),
        ({"until": "2026-01-24T10:00:00"}, "until is an instant with its offset, like 2026-01-24T10:00:00Z."),
        ({"since": "0001-01-01T00:00:00+23:00"}, "since is an instant with its offset, like 2026-01-24T10:00:00Z."),
        ({"actorId": "me"}, "actorId is not a valid id; ids are UUIDs."),
        ({"actor": "me"}, "Ask with actions, actorId, entity, entityId, ip, since, until, each once at most."),
    ],
)
async def test_what_cannot_be_asked_for_is_refused(api: Api, team: Team, wanted: dict[str, str], said: str) -> None:
    answer = await download(api, team.token, **wanted)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["message"]) == (400, said)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_only_those_with_the_permission_get_a_file(api: Api, team: Team) -> None:
    (device,) = await factories.contacts(team.app_id, 1)
    refused = {
        "nobody": (None, 401, "UNAUTHENTICATED"),
        "made up": ("x.y.z", 401, "UNAUTHENTICATED"),
        "agent": ((await factories.team(Role.AGENT, team.app_id)).token, 403, "FORBIDDEN"),
        "device": (await factories.device_token(device), 403, "FORBIDDEN"),
    }
    for who, (token, status, code) in refused.items():
        answer = await download(api, token)
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (status, code), who
    assert (await download(api, team.token, "POST")).status_code == 405
    assert (await download(api, (await factories.team(Role.ADMIN, team.app_id)).token)).status_code == 200


async def test_looking_whether_it_is_there_exports_nothing(api: Api, graph: Graph, team: Team) -> None:
    assert (await download(api, team.token, "HEAD")).status_code == 405
    assert await log(graph, actions=["audit.exported"]) == []


async def test_nobody_exports_without_end(api: Api, team: Team) -> None:
    for _ in range(exporting.PER_HOUR):
        assert (await download(api, team.token, entity="None")).status_code == 200
    answer = await download(api, team.token, entity="None")
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (429, "RATE_LIMITED")
    assert 300 < int(answer.headers["Retry-After"]) <= 360
    other = await factories.team(Role.ADMIN, team.app_id)
    assert (await download(api, other.token, entity="None")).status_code == 200


async def test_a_log_that_is_five_times_as_long_needs_no_more_memory(api: Api, team: Team) -> None:
    assert await streamed(api, team, 2_000) == 2_000
    before = peak(api)
    assert await streamed(api, team, 8_000) == 10_000
    assert peak(api) - before < 10_000 * KILOBYTES * 1024 / 4


async def streamed(api: Api, team: Team, more: int) -> int:
    """The rows of a file, once `more` entries have been made."""
    many = sa.text(
        "INSERT INTO audit_entries (id, created_at, app_id, actor, action, entity, after)"
        " SELECT gen_random_uuid(), now(), :app, 'system', 'test.made', 'Test',"
        " jsonb_build_object('a', repeat('a', :size)) FROM generate_series(1, :more)"
    )
    async with transaction() as session:
        await session.execute(many, {"app": team.app_id, "size": KILOBYTES * 1024, "more": more})
    return await downloads.streamed(api, "/exports/audit.csv?entity=Test", team.token)


async def broken_off(asker: Principal, again: Callable[[], Awaitable[bool]]) -> list[list[str]]:
    """All lines of a download, as `again` lets it go on."""
    slices = audit._slices(asker.app_id, Filter(entity="Test"))
    text = b"".join([part async for part in _table(asker, audit.HEADER, slices, again)]).decode()
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


async def test_a_download_stops_when_the_session_of_who_began_it_ends(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "AT_ONCE", 1)
    for _ in range(3):
        await entered(team)
    asker, view = await auth.prove(team.token), SimpleNamespace(authenticate=auth.authenticate)
    assert len(await broken_off(asker, partial(_again, audit.DOWNLOAD, view, team.token))) == 1 + 3

    proven = 0

    async def prove_once() -> bool:
        nonlocal proven
        proven += 1
        if proven == 2:
            async with transaction() as session:
                await sessions.end_all(session, SYSTEM, team.user_id)
        return await _again(audit.DOWNLOAD, view, team.token)

    lines = await broken_off(asker, prove_once)
    assert len(lines) == 1 + 1 + 1
    assert (lines[-1][0], set(lines[-1][1:])) == ("export.stopped", {""})


async def test_a_download_stops_when_who_began_it_loses_the_right() -> None:
    agent = await factories.team(Role.AGENT)
    assert not await _again(audit.DOWNLOAD, SimpleNamespace(authenticate=auth.authenticate), agent.token)
