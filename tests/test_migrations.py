"""Models and migrations agree; every migration goes back and forth on a database with data."""

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from core.config import config
from core.database import engine
from models import Model
from server import migrate
from tests.conftest import TEMPLATE, with_database
from tests.support import databases


@pytest.fixture
def scratch() -> Iterator[str]:
    """A database of its own, migrated, as DATABASE_URL."""
    before, name = os.environ["DATABASE_URL"], f"{urlsplit(os.environ['DATABASE_URL']).path[1:]}_scratch"
    databases.create(name, TEMPLATE)
    os.environ["DATABASE_URL"] = with_database(before, name)
    config.cache_clear()
    yield os.environ["DATABASE_URL"]
    os.environ["DATABASE_URL"] = before
    config.cache_clear()
    databases.drop(name)


async def test_models_and_migrations_agree() -> None:
    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Model.metadata))

    async with engine().connect() as connection:
        assert await connection.run_sync(differences) == []


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory(str(migrate.MIGRATIONS)).get_heads()) == 1


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
