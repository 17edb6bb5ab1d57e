"""Models and migrations agree; every migration goes back and forth on a database with data."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import migrations
from core.config import config
from core.database import engine
from core.embedded import SetUpError
from core.tenancy import SERVICE, TENANT
from models import Model
from server import migrate
from tests.conftest import TEMPLATE, with_database
from tests.support import databases
from tests.support.commands import replyhq

CONCURRENT = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None


def upgrade():
    op.create_table("scratch", sa.Column("id", sa.Integer()))
    with op.get_context().autocommit_block():
        op.create_index("ix_scratch", "scratch", ["id"], postgresql_concurrently=True)


def downgrade():
    op.drop_table("scratch")
"""


@pytest.fixture
def scratch() -> Iterator[str]:
    """A database of its own, migrated, as DATABASE_URL."""
    yield from _database(TEMPLATE)


@pytest.fixture
def empty() -> Iterator[str]:
    """A database of its own without tables, as DATABASE_URL."""
    yield from _database("template0")


def _database(template: str) -> Iterator[str]:
    before, name = os.environ["DATABASE_URL"], f"{urlsplit(os.environ['DATABASE_URL']).path[1:]}_scratch"
    databases.create(name, template)
    os.environ["DATABASE_URL"] = with_database(before, name)
    config.cache_clear()
    yield os.environ["DATABASE_URL"]
    os.environ["DATABASE_URL"] = before
    config.cache_clear()
    databases.drop(name)


def is_ours(_what: object, name: str | None, kind: str, *_: object) -> bool:
    """The partitions of the audit log come and go by themselves."""
    return kind != "table" or not (name or "").startswith("audit_entries_")


async def test_models_and_migrations_agree() -> None:
    def differences(connection: sa.Connection) -> list[object]:
        options = {"compare_type": True, "include_object": is_ours}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, Model.metadata))

    async with engine().connect() as connection:
        assert await connection.run_sync(differences) == []


def test_there_is_one_head() -> None:
    assert ScriptDirectory(str(migrate.MIGRATIONS)).get_heads() == [migrations.newest()]


def test_each_migration_goes_back_and_forth_on_a_database_with_data(scratch: str) -> None:
    databases.fill(scratch)
    steps = len(list(ScriptDirectory(str(migrate.MIGRATIONS)).walk_revisions()))
    for _ in range(steps - 1):
        migrate.downgrade("-1")
    migrate.upgrade()
    assert databases.count(scratch, "contacts") == 2
    migrate.downgrade("base")
    assert databases.tables(scratch) == ["alembic_version"]
    migrate.upgrade()
    assert databases.count(scratch, "contacts") == 0


def test_an_owner_that_is_no_superuser_migrates_once_it_may_act_as_the_roles(owner: str) -> None:
    """The roles are there, as another database made them; only an administrator may give them to this owner."""
    name = urlsplit(owner).username
    with pytest.raises(SetUpError, match=f"GRANT {TENANT}, {SERVICE} TO {name}$"):
        migrate.upgrade()
    databases.run(os.environ["TEST_DATABASE_URL"], f"GRANT {TENANT}, {SERVICE} TO {name}")
    migrate.upgrade()
    databases.fill(owner)
    assert databases.count(owner, "contacts") == 2, "a migration that changes rows must see them"
    migrate.downgrade("0004")
    assert databases.count(owner, "contacts") == 2
    migrate.upgrade()
    assert databases.count(owner, "contacts") == 2
    migrate.downgrade("base")


@pytest.fixture
def owner(empty: str) -> Iterator[str]:
    """`empty` owned by a login that may nothing else; its DATABASE_URL."""
    parts, before = urlsplit(empty), os.environ["DATABASE_URL"]
    database, name = parts.path[1:], f"owner_{parts.path[1:]}"
    databases.run(empty, f"DROP ROLE IF EXISTS {name}; CREATE ROLE {name} LOGIN PASSWORD 'of-the-tests'")
    databases.run(empty, f'ALTER DATABASE "{database}" OWNER TO {name}')
    url = os.environ["DATABASE_URL"] = f"postgresql://{name}:of-the-tests@{parts.hostname}:{parts.port}/{database}"
    config.cache_clear()
    yield url
    os.environ["DATABASE_URL"] = before
    config.cache_clear()
    databases.run(empty, f'ALTER DATABASE "{database}" OWNER TO CURRENT_USER; DROP OWNED BY {name}; DROP ROLE {name}')


async def test_two_at_once_both_succeed(empty: str) -> None:
    runs = await asyncio.gather(replyhq("migrate"), replyhq("migrate"))
    assert [run.code for run in runs] == [0, 0], runs


def test_a_migration_can_leave_its_transaction(empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(migrate.MIGRATIONS / "env.py", tmp_path)
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "0001_scratch.py").write_text(CONCURRENT)
    monkeypatch.setattr(migrate, "MIGRATIONS", tmp_path)
    migrate.upgrade()
    assert databases.run(empty, "SELECT indexname FROM pg_indexes WHERE tablename = 'scratch'")[0][0] == "ix_scratch"
    migrate.downgrade("base")
    assert databases.tables(empty) == ["alembic_version"]
