"""The login in DATABASE_URL: one that owns nothing is all the product needs, and it says which grants are missing."""

import os
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import orjson
import pytest
import sqlalchemy as sa

from core import database
from core.config import config
from core.database import dispose, transaction
from core.ids import new_id
from core.tenancy import SERVICE, TENANT, MissingRights
from server import health
from tests.support import databases
from tests.support.commands import Ended, replyhq
from tests.support.factories import PASSWORD, Team
from tests.support.graph import Graph
from tests.support.processes import Api

GRANTED = f"GRANT {TENANT}, {SERVICE} TO"
SIGN_IN = "mutation($input: SignInInput!) { signIn(input: $input) { accessToken userErrors { code } } }"
CREATE = """mutation($input: CreateContactInput!) {
    createContact(input: $input) { contact { id } userErrors { code message } } }"""
LIST = '{ contacts(search: "grace") { totalCount nodes { name } } sessions { app { name } user { email } } }'


@pytest.fixture
def login(database: None) -> Iterator[str]:
    """A login of its own that owns nothing and has been granted nothing; its DATABASE_URL."""
    url = os.environ["DATABASE_URL"]
    parts = urlsplit(url)
    name = f"login_{parts.path[1:]}"
    databases.run(url, f"DROP ROLE IF EXISTS {name}; CREATE ROLE {name} LOGIN NOINHERIT PASSWORD 'of-the-tests'")
    yield urlunsplit(parts._replace(netloc=f"{name}:of-the-tests@{parts.hostname}:{parts.port}"))
    databases.run(url, f"DROP ROLE {name}")


@pytest.fixture
async def as_login(login: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """This process works with that login; its name."""
    await dispose()
    monkeypatch.setenv("DATABASE_URL", login)
    config.cache_clear()
    yield urlsplit(login).username or ""
    await dispose()
    monkeypatch.undo()
    config.cache_clear()


async def as_owner(statement: str) -> None:
    connection = await asyncpg.connect(os.environ["TEST_DATABASE_URL"])
    await connection.execute(statement)
    await connection.close()


async def test_the_product_runs_with_a_login_that_owns_nothing(login: str, team: Team) -> None:
    name = urlsplit(login).username
    await as_owner(f"{GRANTED} {name}")
    api = Api(DATABASE_URL=login)
    api.start()
    graph = Graph(api.graphql, api.socket)
    try:
        signed_in = await graph.change(SIGN_IN, email=team.email, password=PASSWORD)
        asker = graph.as_(signed_in["accessToken"])
        await asker.change(CREATE, name="Grace")
        assert await asker.data(LIST) == {
            "contacts": {"totalCount": 1, "nodes": [{"name": "Grace"}]},
            "sessions": [{"app": {"name": "Acme"}, "user": {"email": team.email}}] * 2,
        }
    finally:
        await graph.close()
        api.stop()


async def test_commands_run_with_it_too(login: str) -> None:
    await as_owner(f"{GRANTED} {urlsplit(login).username}")
    assert (await create_app(login)).code == 0


async def test_a_command_without_the_grants_says_which(login: str) -> None:
    refused = await create_app(login)
    assert (refused.code, refused.out) == (1, "")
    assert f"{GRANTED} {urlsplit(login).username}" in refused.err


async def create_app(login: str) -> Ended:
    words = ("create-app", "--name", "Shop", "--owner-name", "Ada", "--email", f"{new_id()}@example.com")
    return await replyhq(*words, DATABASE_URL=login, REPLYHQ_PASSWORD=PASSWORD)


async def test_outside_the_roles_it_has_no_rights_at_all(login: str) -> None:
    await as_owner(f"{GRANTED} {urlsplit(login).username}")
    connection = await asyncpg.connect(login)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetch("SELECT FROM contacts")
    await connection.close()


async def test_a_login_without_the_grants_is_told_which(as_login: str) -> None:
    for _ in range(2):
        with pytest.raises(MissingRights, match=f"^The database's administrator must run: {GRANTED} {as_login}$"):
            await _select()
    ready = await health.readyz(None)
    assert (ready.status_code, orjson.loads(ready.body)["missing"]) == (503, ["postgresql", "migrations"])
    await as_owner(f"{GRANTED} {as_login}")
    assert await _select() == SERVICE


async def test_a_cluster_without_the_roles_says_to_migrate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "entrance", lambda **_: "SET LOCAL ROLE replyhq_absent;")
    with pytest.raises(MissingRights, match="Run `replyhq migrate` first"):
        await _select()
    monkeypatch.undo()
    assert await _select() == SERVICE


async def _select() -> str:
    async with transaction() as session:
        return str(await session.scalar(sa.text("SELECT current_user")))
