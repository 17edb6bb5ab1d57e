"""What counts as an outage of PostgreSQL, and what stays the failure that it is."""

import errno
import socket

import pytest
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from core.database import transaction
from core.errors import Invalid, Unavailable
from core.outages import told

AWAY = [
    ConnectionRefusedError(),
    ConnectionResetError(),
    TimeoutError(),
    socket.gaierror("Name or service not known"),
    OSError("Multiple exceptions: [Errno 111] Connect call failed ('10.0.0.7', 5432)"),
    OSError(errno.EHOSTUNREACH, "No route to host"),
    PoolTimeoutError("QueuePool limit of size 10 overflow 10 reached"),
]
BUGS = [FileNotFoundError("a template"), PermissionError(), RuntimeError(), KeyError("a"), Invalid("No.")]


@pytest.mark.parametrize("error", AWAY, ids=repr)
def test_who_cannot_be_reached_is_away(error: Exception) -> None:
    with pytest.raises(Unavailable) as unavailable, told():
        raise error
    assert unavailable.value.__cause__ is error
    assert "10.0.0.7" not in unavailable.value.message


@pytest.mark.parametrize("error", BUGS, ids=repr)
def test_a_bug_stays_a_bug(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, told():
        raise error
    assert raised.value is error


@pytest.mark.parametrize(
    ("statements", "state"),
    [
        (["SET LOCAL statement_timeout = '20ms'", "SELECT pg_sleep(5)"], "57014"),
        (["DO $$ BEGIN RAISE EXCEPTION SQLSTATE '57P01'; END $$"], "57P01"),
        (["DO $$ BEGIN RAISE EXCEPTION SQLSTATE '53300'; END $$"], "53300"),
        (["DO $$ BEGIN RAISE EXCEPTION SQLSTATE '55P03'; END $$"], "55P03"),
    ],
)
async def test_a_server_that_stops_its_work_is_away(statements: list[str], state: str) -> None:
    with structlog.testing.capture_logs() as logs, pytest.raises(Unavailable):  # noqa: PT012
        async with transaction() as session:
            for statement in statements:
                await session.execute(sa.text(statement))
    assert [(log["event"], log["sqlstate"]) for log in logs] == [("database away", state)]
    async with transaction() as session:
        assert await session.scalar(sa.text("SELECT 1")) == 1


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELECT nothing", DBAPIError),
        ("SELECT 1 / 0", DBAPIError),
        ("INSERT INTO apps (id, name) VALUES (gen_random_uuid(), NULL)", IntegrityError),
    ],
)
async def test_a_wrong_statement_is_no_outage(statement: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        async with transaction() as session:
            await session.execute(sa.text(statement))
