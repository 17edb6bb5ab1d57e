"""Another app's things are as good as absent: asked for by id, listed, searched, counted."""

import re
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from core.clock import now
from core.database import transaction
from core.ids import new_id
from domain import idempotency, in_app_messages
from domain.in_app_messages import Draft
from domain.permissions import DEVICE_PERMISSIONS
from models.contacts import Contact
from models.devices import Device
from models.facts import Fact
from models.sessions import UserSession
from tests.schema.roots import Root, arguments, ask, codes, paths, roots, text
from tests.schema.rows import rows_of
from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import Graph

UUIDS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UNKNOWN = {"NOT_FOUND", "BAD_USER_INPUT"}
IGNORED = {"reportReceipts"}
# What an argument of this name, or of this root field and name, is the id of.
KINDS = {
    "contactId": "contact",
    "contactIds": "contact",
    "userIds": "user",
    "broadcastId": "broadcast",
    "messageId": "message",
    "contact.id": "contact",
    "updateContact.id": "contact",
    "deleteContact.id": "contact",
    "broadcast.id": "broadcast",
    "updateBroadcast.id": "draft",
    "duplicateBroadcast.id": "broadcast",
    "deleteBroadcast.id": "draft",
    "sendBroadcast.id": "draft",
    "sendTestBroadcast.id": "broadcast",
    "scheduleBroadcast.id": "draft",
    "cancelBroadcast.id": "broadcast",
    "pauseBroadcast.id": "broadcast",
    "resumeBroadcast.id": "broadcast",
    "revokeSession.id": "session",
}


@dataclass(frozen=True)
class Things:
    """One thing of each kind, all of one app.

    Attributes:
        ids: by kind.
        device: the token of a device.
    """

    team: Team
    ids: dict[str, str]
    device: str


async def things(team: Team) -> Things:
    """A contact with a device, broadcasts in work and on the way, a message, a session, a key that was used."""
    broadcast, draft = await factories.sending(team, 2), await factories.broadcast(team)
    async with transaction() as session:
        contact = (await session.scalars(sa.select(Contact).where(Contact.app_id == team.app_id).limit(1))).one()
        contact.external_id = contact.name = f"known as {contact.id}"
        device = (await session.scalars(sa.select(Device).where(Device.contact_id == contact.id))).one()
        key = f"b{broadcast.id}:1"
        await in_app_messages.store(session, team.app_id, [Draft(key, device.id, "Hello", "World", None)])
        await idempotency.claim(session, team.app_id, "once", {}, broadcast.id)
        own = UserSession.user_id == team.user_id
        ids = {
            "contact": contact.id,
            "user": contact.external_id,
            "broadcast": broadcast.id,
            "draft": draft.id,
            "message": in_app_messages.message_id(key),
            "session": await session.scalar(sa.select(UserSession.id).where(own)),
        }
        await session.execute(sa.update(Fact).where(Fact.app_id == team.app_id).values(dispatched_at=now()))
    return Things(team, {kind: str(id_) for kind, id_ in ids.items()}, await factories.device_token(device.id))


@pytest.fixture
async def ours(team: Team) -> Things:
    """What the asker's app has."""
    return await things(team)


@pytest.fixture(scope="module")
async def theirs(database: None) -> Things:
    """What another app has."""
    return await things(await factories.team())


def entries(root: Root, path: str) -> tuple[str, str]:
    """Where KINDS may say what an argument is the id of."""
    name = path.rpartition(".")[2]
    return f"{root.name}.{name}", name


def kind_of(root: Root, path: str) -> str:
    """What an argument is the id of."""
    known = [KINDS[entry] for entry in entries(root, path) if entry in KINDS]
    assert known, f"{root.name}({path}) takes an id: say in KINDS of what"
    return known[0]


def references(root: Root) -> list[str]:
    """The arguments and input fields of a root field that name a thing."""
    return [path for path, type_ in paths(root) if type_ == "ID" or path.endswith("userIds")]


REFERENCES = [pytest.param(root, path, id=f"{root}-{path}") for root in roots() for path in references(root)]


def given(root: Root, ours: Things, **replaced: str) -> dict[str, str]:
    """Ids for the arguments of a field: our own things, except where another is given."""
    own = {path: ours.ids[kind_of(root, path)] for path in references(root) if not path.endswith("userIds")}
    return own | replaced


async def answer(graph: Graph, root: Root, ours: Things, **replaced: str) -> dict[str, Any]:
    """What we get when asking with our own things, except where another is given."""
    asker = graph.as_(ours.device if root.permission in DEVICE_PERMISSIONS else ours.team.token)
    return await ask(asker, root, arguments(root, given(root, ours, **replaced)), depth=4)


def test_every_id_argument_says_of_what_and_nothing_else_does() -> None:
    used = {entry for root in roots() for path in references(root) for entry in entries(root, path)}
    assert {kind_of(root, path) for root in roots() for path in references(root)} == set(KINDS.values())
    assert set(KINDS) - used == set()


async def test_the_other_app_has_rows_in_every_table(theirs: Things) -> None:
    empty = [table for table, rows in (await rows_of(theirs.team.app_id)).items() if not rows]
    assert empty == [], "let things() make such a row"


@pytest.mark.parametrize(("root", "path"), REFERENCES)
async def test_a_thing_of_another_app_is_answered_as_one_that_is_not_there(
    graph: Graph, ours: Things, theirs: Things, root: Root, path: str
) -> None:
    foreign, unknown = theirs.ids[kind_of(root, path)], str(new_id())
    before = await rows_of(theirs.team.app_id)
    to_theirs = await answer(graph, root, ours, **{path: foreign})
    to_nothing = await answer(graph, root, ours, **{path: unknown})
    to_ours = await answer(graph, root, ours, **{path: ours.ids[kind_of(root, path)]})
    assert await rows_of(theirs.team.app_id) == before
    assert text(to_theirs).replace(foreign, "it") == text(to_nothing).replace(unknown, "it")
    assert text(to_theirs).replace(foreign, "it") != text(to_ours)
    assert set(codes(to_theirs)) <= UNKNOWN
    assert codes(to_theirs) or root.name in IGNORED


@pytest.mark.parametrize("root", roots("query"), ids=str)
async def test_an_answer_shows_and_counts_nothing_of_another_app(
    graph: Graph, ours: Things, theirs: Things, root: Root
) -> None:
    found = await answer(graph, root, ours)
    (value,) = found["data"].values()
    assert codes(found) == []
    assert set(UUIDS.findall(text(found))) & set(UUIDS.findall(str(await rows_of(theirs.team.app_id)))) == set()
    if "totalCount" in value:
        assert value["totalCount"] == len(value["nodes"]) > 0


async def test_a_search_finds_nothing_of_another_app(graph: Graph, ours: Things, theirs: Things) -> None:
    query = "query($search: String) { contacts(search: $search) { totalCount nodes { id } } }"
    own = await graph.data(query, search=ours.ids["user"])
    assert own["contacts"] == {"totalCount": 1, "nodes": [{"id": ours.ids["contact"]}]}
    foreign = await graph.data(query, search=theirs.ids["user"])
    assert foreign["contacts"] == {"totalCount": 0, "nodes": []}


async def test_everybody_is_everybody_of_the_own_app(graph: Graph, ours: Things, theirs: Things) -> None:
    found = await graph.data("{ audiencePreview(target: {targetType: ALL_USERS}) { contacts devices } }")
    assert found["audiencePreview"] == {"contacts": 2, "devices": 2}
