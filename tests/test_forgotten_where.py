"""A rule whose WHERE was forgotten, asked over GraphQL. The wall holds; without it the same request would leak."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import sqlalchemy as sa
import uvicorn
from sqlalchemy.ext.asyncio import AsyncSession

from core.embedded.ports import free_port
from core.errors import NotFound
from core.tenancy import bound_to
from domain import auth, contacts, in_app_messages
from domain.auth import authenticate, prove
from domain.in_app_messages import Position
from domain.pages import Page, PageRequest, page
from models.base import Model
from models.contacts import Contact
from server.app import assemble
from server.graphql.schema import schema
from server.graphql.view import GraphQLView
from tests.schema.test_tenancy import Things, things
from tests.support import factories
from tests.support.graph import Graph

ONE = "query($id: ID!) { contact(id: $id) { id } }"
MANY = "{ contacts { totalCount nodes { id devices { id } } } }"
RENAME = "mutation($input: UpdateContactInput!) { updateContact(input: $input) { contact { id } userErrors { code } } }"


@pytest.fixture
async def ours(database: None) -> Things:
    return await things(await factories.team())


@pytest.fixture
async def theirs(database: None) -> Things:
    return await things(await factories.team())


@pytest.fixture
async def graph(ours: Things) -> AsyncIterator[Graph]:
    """The API inside this process, with the rules as the test has bent them, asked by us."""
    port = free_port(None)
    app = assemble(GraphQLView(schema(), authenticate=authenticate, prove=prove))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        assert not serving.done()
        await asyncio.sleep(0.01)
    client = Graph(f"http://127.0.0.1:{port}/graphql", f"ws://127.0.0.1:{port}/graphql", ours.team.token)
    yield client
    await client.close()
    server.should_exit = True
    await serving


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules that do not ask whose contact it is."""

    async def get(session: AsyncSession, _app_id: UUID, contact_id: UUID, **_options: Any) -> Contact:
        found = await session.scalar(sa.select(Contact).where(Contact.id == contact_id))
        if found is None:
            raise NotFound("There is no such contact.", field="id")
        return found

    async def listed(session: AsyncSession, _app_id: UUID, request: PageRequest, **_options: Any) -> Page[Contact]:
        return await page(session, sa.select(Contact), Contact.id, request, newest_first=True)

    monkeypatch.setattr(contacts, "get", get)
    monkeypatch.setattr(contacts, "listed", listed)


@pytest.fixture
async def no_wall() -> AsyncIterator[None]:
    """No row-level security."""
    owner = await asyncpg.connect(os.environ["DATABASE_URL"])
    for table in Model.metadata.tables:
        await owner.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    yield
    for table in Model.metadata.tables:
        await owner.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    await owner.close()


async def leaks(graph: Graph, ours: Things, theirs: Things) -> set[str]:
    """The ways in which we reached their contact."""
    foreign = theirs.ids["contact"]
    own = {contact["id"] for contact in (await graph.data(MANY))["contacts"]["nodes"] if contact["devices"]}
    assert ours.ids["contact"] in own
    answers = {
        "one": (await graph.ask(ONE, id=foreign)).body,
        "many": (await graph.ask(MANY)).body,
        "changed": (await graph.ask(RENAME, input={"id": foreign, "name": "Mallory"})).body,
    }
    async with graph.connect() as socket:
        await socket.start(ONE, id=foreign)
        answers["socket"] = (await socket.receive())["payload"]
    return {name for name, answer in answers.items() if foreign in str(answer)}


async def test_the_wall_holds(graph: Graph, ours: Things, theirs: Things, forgetful: None) -> None:
    assert await leaks(graph, ours, theirs) == set()
    assert (await graph.data(MANY))["contacts"]["totalCount"] == 2


async def test_without_it_the_same_requests_leak(
    graph: Graph, ours: Things, theirs: Things, forgetful: None, no_wall: None
) -> None:
    assert await leaks(graph, ours, theirs) == {"one", "many", "changed", "socket"}
    assert (await graph.data(MANY))["contacts"]["totalCount"] > 2


async def test_askers_of_several_apps_are_answered_together(ours: Things, theirs: Things) -> None:
    """Their batch runs in the task that the first of them started, and is bound to neither app."""

    async def waiting(asker: Things) -> list[str]:
        with bound_to(asker.team.app_id):
            device_id = (await auth.prove(asker.device)).device()
            return [str(message.id) for message in await in_app_messages.waiting.ask(Position(device_id, 0))]

    found = await asyncio.gather(waiting(ours), waiting(theirs), waiting(ours))
    # that of the broadcast, and behind it the answer in the conversation
    assert [(ids[0], len(ids)) for ids in found] == [(asker.ids["message"], 2) for asker in (ours, theirs, ours)]
