"""Row-level security: what a statement that forgot its WHERE reaches, at every table, and what the two roles may do."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from core.database import engine, transaction
from core.tenancy import SERVICE, TENANT, bound_to
from models.apps import App
from models.base import Model
from models.contacts import Contact
from tests.schema.rows import rows_of
from tests.schema.test_tenancy import Things, things
from tests.support import factories

TABLES = sorted(Model.metadata.tables)
# What an app may not even do with its own rows.
FORBIDDEN = {
    "admin_users": {"INSERT", "UPDATE", "DELETE"},
    "apps": {"INSERT", "DELETE"},
    "audit_entries": {"UPDATE", "DELETE"},
    "backup_codes": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "mails": {"SELECT", "UPDATE", "DELETE"},
    "memberships": {"INSERT"},
    "password_resets": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "two_factors": {"INSERT", "UPDATE", "DELETE"},
    "webhook_attempts": {"INSERT", "UPDATE", "DELETE"},
    "webhook_deliveries": {"DELETE"},
    "webhook_events": {"UPDATE", "DELETE"},
    "workflow_versions": {"UPDATE", "DELETE"},
}
READ, CHANGED, DELETED = (
    [name for name in TABLES if verb not in FORBIDDEN.get(name, ())] for verb in ("SELECT", "UPDATE", "DELETE")
)
# Who a row belongs to is its own key there, not a column that refers to it.
TIED = [name for name in CHANGED if name != App.__tablename__]
DENIED = "42501"


@pytest.fixture(scope="module")
async def ours(database: None) -> Things:
    """Rows of ours in every table."""
    return await things(await factories.team())


@pytest.fixture(scope="module")
async def theirs(database: None) -> Things:
    """Rows of another app in every table."""
    return await things(await factories.team())


def whole_house() -> AbstractContextManager[None]:
    return nullcontext()


async def run(statement: str, **values: Any) -> Any:
    """The result of one statement in a transaction of its own, bound as the task is."""
    async with transaction() as session:
        return await session.execute(sa.text(statement), values)


async def refusal(statement: str, **values: Any) -> str:
    """The SQLSTATE with which a statement is refused."""
    with pytest.raises(DBAPIError) as refused:
        await run(statement, **values)
    return str(getattr(refused.value.orig, "sqlstate", None))


async def seen(table: str) -> list[str]:
    """All rows of a table that can be seen from here, written out as text, sorted."""
    return sorted(row for (row,) in await run(f"SELECT {table}.*::text FROM {table}"))  # noqa: S608


async def rows(things: Things, table: str) -> list[str]:
    """The rows of their app, as `seen` shows them, found by what they refer to."""
    return (await rows_of(things.team.app_id))[table]


def tie(table: str) -> str:
    """The column by which a row belongs to an app or to a thing of it."""
    columns = Model.metadata.tables[table].c
    return next(name for name in ("app_id", "broadcast_id", "user_id") if name in columns)


@pytest.mark.parametrize("table", TABLES)
async def test_every_table_has_a_wall(table: str) -> None:
    (found,) = await run(
        "SELECT relrowsecurity, relforcerowsecurity,"
        " (SELECT array_agg(roles::text ORDER BY roles::text) FROM pg_policies WHERE tablename = relname) AS roles"
        " FROM pg_class WHERE oid = to_regclass(:table)",
        table=table,
    )
    assert found == (True, True, [f"{{{SERVICE}}}", f"{{{TENANT}}}"]), "give it one: migrations/walls.py"


async def test_every_table_of_the_database_has_a_wall_or_no_rights_for_anybody() -> None:
    found = await run(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        " AND NOT relrowsecurity AND (has_table_privilege(:tenant, oid, 'SELECT, INSERT, UPDATE, DELETE')"
        " OR has_table_privilege(:service, oid, 'SELECT, INSERT, UPDATE, DELETE'))",
        tenant=TENANT,
        service=SERVICE,
    )
    assert [name for (name,) in found] == ["alembic_version"]


@pytest.mark.parametrize("table", READ)
async def test_an_app_sees_its_own_rows_and_no_others(ours: Things, theirs: Things, table: str) -> None:
    own, other = await rows(ours, table), await rows(theirs, table)
    assert own
    assert other
    with bound_to(ours.team.app_id):
        assert await seen(table) == own
    with bound_to(theirs.team.app_id):
        assert await seen(table) == other
    assert set(own + other) <= set(await seen(table))


@pytest.mark.parametrize("table", READ)
async def test_nobody_sees_nothing(ours: Things, table: str) -> None:
    with bound_to(None):
        assert await seen(table) == []


@pytest.mark.parametrize(("table", "verb"), [(table, verb) for table in FORBIDDEN for verb in sorted(FORBIDDEN[table])])
async def test_what_an_app_may_not_do_with_its_own_rows(ours: Things, table: str, verb: str) -> None:
    column = Model.metadata.tables[table].primary_key.columns[0].name
    statements = {
        "SELECT": f"SELECT FROM {table}",
        "INSERT": f"INSERT INTO {table} DEFAULT VALUES",
        "UPDATE": f"UPDATE {table} SET {column} = {column}",  # noqa: S608
        "DELETE": f"DELETE FROM {table}",  # noqa: S608
    }
    with bound_to(ours.team.app_id):
        assert await refusal(statements[verb]) == DENIED


@pytest.mark.parametrize("table", CHANGED)
async def test_a_change_without_a_where_changes_own_rows_only(ours: Things, theirs: Things, table: str) -> None:
    own, other = await rows(ours, table), await rows(theirs, table)
    column = {"memberships": "role"}.get(table, Model.metadata.tables[table].primary_key.columns[0].name)
    with bound_to(ours.team.app_id):
        changed = await run(f"UPDATE {table} SET {column} = {column}")  # noqa: S608
    assert changed.rowcount == len(own)
    assert await rows(theirs, table) == other


@pytest.mark.parametrize("table", DELETED)
async def test_a_delete_without_a_where_deletes_own_rows_only(ours: Things, theirs: Things, table: str) -> None:
    own = await rows(ours, table)
    with bound_to(ours.team.app_id):
        async with transaction() as session:
            gone: Any = await session.execute(sa.text(f"DELETE FROM {table}"))  # noqa: S608
            assert gone.rowcount == len(own)
            await session.rollback()


@pytest.mark.parametrize("table", TIED)
async def test_an_own_row_cannot_be_given_away(ours: Things, theirs: Things, table: str) -> None:
    values = {"app_id": theirs.team.app_id, "broadcast_id": theirs.ids["broadcast"], "user_id": theirs.team.user_id}
    column = tie(table)
    statement = f"UPDATE {table} SET {column} = CAST(:other AS uuid)"  # noqa: S608
    with bound_to(ours.team.app_id):
        assert await refusal(statement, other=str(values[column])) == DENIED


@pytest.mark.parametrize("table", TABLES)
async def test_a_row_cannot_be_put_into_another_app(ours: Things, theirs: Things, table: str) -> None:
    """A copy of a row of theirs: the wall refuses it before its key does, which is all that stops the house."""
    row = await a_row(theirs, table)
    columns = ", ".join(column.name for column in Model.metadata.tables[table].c if column.computed is None)
    insert = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM json_populate_record(NULL::{table}, :row)"  # noqa: S608
    for app_id in (ours.team.app_id, None):
        with bound_to(app_id):
            assert await refusal(insert, row=row) == DENIED
    with pytest.raises(IntegrityError):
        await run(insert, row=row)


async def a_row(things: Things, table: str) -> str:
    """One of their rows, as JSON."""
    written = (await rows(things, table))[0]
    statement = f"SELECT row_to_json({table}.*)::text FROM {table} WHERE {table}.*::text = :written"  # noqa: S608
    return str((await run(statement, written=written)).scalar_one())


@pytest.mark.parametrize("bound", ["app", "house"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET action = 'nothing'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
        "SELECT FROM audit_entries_default",
        "INSERT INTO audit_entries_default SELECT * FROM audit_entries",
        "TRUNCATE audit_entries_default",
        "DROP TABLE audit_entries_default",
        "ALTER TABLE audit_entries DISABLE TRIGGER ALL",
        "ALTER TABLE contacts DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE contacts NO FORCE ROW LEVEL SECURITY",
        "CREATE POLICY open ON contacts USING (true)",
        "DROP POLICY tenant ON contacts",
        "TRUNCATE contacts CASCADE",
        "CREATE TABLE ours (id int)",
        "CREATE FUNCTION ours() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE ROLE ours",
        "UPDATE alembic_version SET version_num = '0001'",
    ],
)
async def test_what_neither_role_may_do(ours: Things, bound: str, statement: str) -> None:
    with bound_to(ours.team.app_id) if bound == "app" else whole_house():
        assert await refusal(statement) == DENIED


@pytest.mark.parametrize("function", ["audit_make_month(now())", "audit_drop_months()"])
async def test_an_app_makes_and_drops_no_partitions(ours: Things, function: str) -> None:
    await run(f"SELECT {function}")
    with bound_to(ours.team.app_id):
        assert await refusal(f"SELECT {function}") == DENIED


async def test_a_new_month_of_the_audit_log_has_no_rights_for_anybody() -> None:
    await run("SELECT audit_make_month('2031-05-05T00:00:00Z')")
    assert await refusal("SELECT FROM audit_entries_2031_05") == DENIED


async def test_a_transaction_is_bound_as_its_task_and_forgets_it(ours: Things, theirs: Things) -> None:
    async def apps_of_contacts(**options: bool) -> set[UUID]:
        async with transaction(**options) as session:
            return set(await session.scalars(sa.select(Contact.app_id)))

    both = {ours.team.app_id, theirs.team.app_id}
    with bound_to(ours.team.app_id):
        assert await apps_of_contacts() == {ours.team.app_id}
        assert await apps_of_contacts(across_apps=True) >= both
        with bound_to(theirs.team.app_id):
            assert await apps_of_contacts() == {theirs.team.app_id}
        assert await apps_of_contacts() == {ours.team.app_id}
    assert await apps_of_contacts() >= both


async def test_a_savepoint_changes_nothing(ours: Things, theirs: Things) -> None:
    with bound_to(ours.team.app_id):
        async with transaction() as session:
            async with session.begin_nested() as inner:
                await session.scalars(sa.select(Contact.app_id))
                await inner.rollback()
            assert set(await session.scalars(sa.select(Contact.app_id))) == {ours.team.app_id}


async def test_every_transaction_of_the_engine_gives_up_the_rights_of_its_login(ours: Things) -> None:
    who = sa.text("SELECT current_user, session_user <> current_user, current_setting('replyhq.app_id', true)")
    async with engine().connect() as connection:
        assert (await connection.execute(who)).one()[:2] == (SERVICE, True)
    async with transaction() as session:
        assert (await session.execute(who)).one()[:2] == (SERVICE, True)
    with bound_to(ours.team.app_id):
        async with transaction() as session:
            assert (await session.execute(who)).one() == (TENANT, True, ours.team.app_id.hex)
    with bound_to(None):
        async with transaction() as session:
            assert (await session.execute(who)).one() == (TENANT, True, "")
