"""Databases of their own, for tests that change their shape."""

import asyncio
import os
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

FILL = """
INSERT INTO apps (id, name) VALUES ('00000000-0000-7000-8000-000000000001', 'Acme');
INSERT INTO contacts (id, app_id, name, emails, phones, tags, attributes, updated_at)
SELECT gen_random_uuid(), id, 'Ada', '{ada@example.com}', '{}', '{}', '{}', now()
FROM apps, generate_series(1, 2);
INSERT INTO devices (id, app_id, contact_id, platform) SELECT gen_random_uuid(), app_id, id, 'IOS' FROM contacts;
"""
# What nobody in a later module waits for, and what workers and clocks would otherwise be busy with there.
LEFTOVERS = """
UPDATE facts SET dispatched_at = now() WHERE dispatched_at IS NULL;
DELETE FROM workflow_signals;
DELETE FROM workflow_executions WHERE ended_at IS NULL;
DELETE FROM workflow_enrolments WHERE due_at IS NOT NULL;
DELETE FROM workflow_schedules;
DELETE FROM segment_watches;
DELETE FROM webhook_events;
DELETE FROM notification_mailings;
DELETE FROM mails;
"""


def run(url: str, statement: str) -> list[Any]:
    """The rows of one statement, or of several without rows."""

    async def execute() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetch(statement) if statement.startswith("SELECT") else await _all(connection)
        finally:
            await connection.close()

    async def _all(connection: Any) -> list[Any]:
        await connection.execute(statement)
        return []

    return asyncio.run(execute())


def _admin() -> str:
    return urlunsplit(urlsplit(os.environ["TEST_DATABASE_URL"])._replace(path="/postgres"))


def create(name: str, template: str) -> None:
    """A copy of `template`; one of that name that was left over goes."""
    drop(name)
    run(_admin(), f'CREATE DATABASE "{name}" TEMPLATE "{template}"')


def drop(name: str) -> None:
    run(_admin(), f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def fill(url: str) -> None:
    """An app with two contacts, a device each."""
    run(url, FILL)


def clear(url: str) -> None:
    """Forget what is still due of the tests of other modules."""
    run(url, LEFTOVERS)


def count(url: str, table: str) -> int:
    return int(run(url, f'SELECT count(*) FROM "{table}"')[0][0])  # noqa: S608  the test names the table


def tables(url: str) -> list[str]:
    return [row[0] for row in run(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
