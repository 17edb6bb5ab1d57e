"""`replyhq keys`: secrets encrypted anew beside a running product, in a database of their own."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest

from core.encryption import decrypt, encrypt, parse_keys
from core.ids import new_id
from domain import encryption
from domain.two_factors import proof
from models.base import Model
from tests.conftest import TEMPLATE, with_database
from tests.core.test_encryption import NEW, OLD, refusal, ring
from tests.support import databases
from tests.support.commands import Ended, end, replyhq, start
from tests.support.waiting import until

CANARY = "canary-7c1e"
MANY = 1_200


@pytest.fixture
async def raw(database: None) -> AsyncIterator[asyncpg.Connection]:
    """A database without any rows."""
    name = f"{urlsplit(os.environ['DATABASE_URL']).path[1:]}_keys"
    await asyncio.to_thread(databases.create, name, TEMPLATE)
    connection = await asyncpg.connect(with_database(os.environ["DATABASE_URL"], name))
    yield connection
    await connection.close()
    await asyncio.to_thread(databases.drop, name)


def environment(raw: asyncpg.Connection, *keys: str) -> dict[str, str]:
    name = raw._params.database
    return {
        "DATABASE_URL": with_database(os.environ["DATABASE_URL"], name),
        "REPLYHQ_ENCRYPTION_KEYS": ",".join(keys),
    }


async def rotate(raw: asyncpg.Connection, *keys: str) -> Ended:
    return await replyhq("keys", "rotate", **environment(raw, *keys))


async def person(raw: asyncpg.Connection) -> UUID:
    """Somebody with a second factor, whose secret is the canary."""
    id_ = new_id()
    user = "INSERT INTO admin_users (id, email, name, password_hash) VALUES ($1, $2, 'Ada', '-')"
    await raw.execute(user, id_, f"{id_}@example.com")
    factor = "INSERT INTO two_factors (user_id, secret) VALUES ($1, $2)"
    await raw.execute(factor, id_, encrypt(CANARY, proof.place(id_)))
    return id_


async def mails(raw: asyncpg.Connection, count: int) -> list[UUID]:
    """Mails that say the canary, and one that says nothing any more."""
    ids = [new_id() for _ in range(count)]
    insert = (
        "INSERT INTO mails (id, recipient, subject, body, status) VALUES ($1, 'ada@example.com', 'Hello', $2, 'SENT')"
    )
    await raw.executemany(insert, [(id_, encrypt(CANARY, f"mails.body:{id_}")) for id_ in ids])
    await raw.execute(insert, new_id(), None)
    return ids


async def secret(raw: asyncpg.Connection, user_id: UUID) -> str:
    return await raw.fetchval("SELECT secret FROM two_factors WHERE user_id = $1", user_id)


async def opened(raw: asyncpg.Connection) -> list[str]:
    """Whatever is encrypted, as text."""
    factors = await raw.fetch("SELECT user_id, secret FROM two_factors")
    bodies = await raw.fetch("SELECT id, body FROM mails WHERE body IS NOT NULL")
    return [decrypt(closed, proof.place(id_)) for id_, closed in factors] + [
        decrypt(closed, f"mails.body:{id_}") for id_, closed in bodies
    ]


def test_the_columns_are_those_that_say_so() -> None:
    assert {str(column) for column in encryption.columns()} == {
        "channel_accounts.credentials",
        "mails.body",
        "two_factors.secret",
        "webhooks.headers",
        "webhooks.previous_secret",
        "webhooks.secret",
    }


async def test_after_a_rotation_the_old_key_can_go(raw: asyncpg.Connection) -> None:
    with ring(OLD):
        await person(raw)
        await mails(raw, MANY)
    ended = await rotate(raw, NEW, OLD)
    assert (ended.code, ended.out) == (0, f"{MANY + 1} secrets encrypted anew, 0 left\n")
    with ring(NEW):
        assert await opened(raw) == [CANARY] * (MANY + 1)
    again = await rotate(raw, NEW)
    assert (again.code, again.out) == (0, "0 secrets encrypted anew, 0 left\n")


async def test_a_rotation_that_was_broken_off_goes_on(raw: asyncpg.Connection) -> None:
    with ring(OLD):
        await person(raw)
        ids = await mails(raw, MANY)
    held = raw.transaction()
    await held.start()
    await raw.execute("SELECT FROM mails WHERE id = $1 FOR UPDATE", ids[600])
    other = await asyncpg.connect(environment(raw)["DATABASE_URL"])
    process = await start("keys", "rotate", **environment(raw, NEW, OLD))
    await until(lambda: other.fetchval("SELECT count(*) FROM mails WHERE body LIKE 'new:%'"), lambda n: n >= 500)
    process.kill()
    await end(process)
    await held.rollback()
    await other.close()
    old = [row["body"] for row in await raw.fetch("SELECT body FROM mails UNION ALL SELECT secret FROM two_factors")]
    left = sum(one is not None and one.startswith("old:") for one in old)
    assert 0 < left < MANY
    ended = await rotate(raw, NEW, OLD)
    assert (ended.code, ended.out) == (0, f"{left} secrets encrypted anew, 0 left\n")
    with ring(NEW):
        assert await opened(raw) == [CANARY] * (MANY + 1)


async def test_what_changes_meanwhile_is_not_lost(raw: asyncpg.Connection) -> None:
    with ring(OLD):
        user_id = await person(raw)
        changed = encrypt("changed", proof.place(user_id))
    async with raw.transaction():
        await raw.execute("UPDATE two_factors SET secret = $2 WHERE user_id = $1", user_id, changed)
        process = await start("keys", "rotate", **environment(raw, NEW, OLD))
        other = await asyncpg.connect(environment(raw)["DATABASE_URL"])
        waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        await until(lambda: other.fetchval(waits))
        await other.close()
    assert (await end(process)).out == "1 secrets encrypted anew, 0 left\n"
    with ring(NEW):
        assert await opened(raw) == ["changed"]


async def test_what_does_not_open_is_named_and_left_as_it_is(raw: asyncpg.Connection) -> None:
    with ring(OLD):
        one, other = await person(raw), await person(raw)
        fine = await person(raw)
    closed = await secret(raw, one)
    await raw.execute("UPDATE two_factors SET secret = $2 WHERE user_id = $1", other, closed)
    ended = await rotate(raw, NEW, OLD)
    assert (ended.code, ended.out) == (1, "2 secrets encrypted anew, 1 left\n")
    place = proof.place(other)
    assert ended.err.strip() == f"{place}: A secret does not open: it is not what was kept at {place}."
    assert await secret(raw, other) == closed
    with ring(NEW, OLD):
        assert decrypt(await secret(raw, fine), proof.place(fine)) == CANARY
        refusal(await secret(raw, one), place)


async def test_a_key_that_is_missing_or_wrong_is_told(raw: asyncpg.Connection) -> None:
    with ring(OLD):
        user_id = await person(raw)
    ended = await rotate(raw, NEW)
    assert (ended.code, ended.out) == (1, "0 secrets encrypted anew, 1 left\n")
    needed = "A secret needs the encryption key `old`; add it to REPLYHQ_ENCRYPTION_KEYS."
    assert ended.err.strip() == f"{proof.place(user_id)}: {needed}"
    ended = await rotate(raw, "nonsense")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("Error: REPLYHQ_ENCRYPTION_KEYS must be `id:base64 of 32 bytes`")


async def test_no_secret_stands_in_the_database_as_it_is(raw: asyncpg.Connection) -> None:
    with ring(OLD):
        await person(raw)
        await mails(raw, 3)
    await rotate(raw, NEW, OLD)
    dump = [
        row[0]
        for table in Model.metadata.sorted_tables
        for row in await raw.fetch(f'SELECT t::text FROM "{table.name}" t')  # noqa: S608  a table of ours
    ]
    assert len(dump) == 6
    assert [row for row in dump if CANARY in row] == []


async def test_a_new_key_is_printed_as_it_is_to_be_put_first() -> None:
    ended = await replyhq("keys", "new")
    assert ended.code == 0
    assert re.fullmatch(r"k\d{8}[0-9a-f]{4}:[A-Za-z0-9+/]{43}=\n", ended.out)
    assert list(parse_keys(f"{ended.out.strip()},{OLD}"))[1:] == ["old"]
    assert ended.out != (await replyhq("keys", "new")).out
