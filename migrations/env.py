"""Alembic: runs the migrations in `versions` on the database that DATABASE_URL names."""

import asyncio

import sqlalchemy as sa
import structlog
from alembic import context
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from core.database import connect
from models import Model

LOCK_TIMEOUT = "5s"
LOCK = sa.select(sa.func.pg_try_advisory_lock(sa.func.hashtextextended("replyhq migrate", 0)))
POLL_SECONDS = 0.5
log = structlog.get_logger(__name__)


def _migrate(connection: sa.Connection) -> None:
    context.configure(
        connection=connection, target_metadata=Model.metadata, compare_type=True, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


async def _wait_for_turn(connection: AsyncConnection) -> None:
    """Until no other run is under way. The lock belongs to the session and goes with it.

    It is asked for again and again, because who waits inside `pg_advisory_lock` holds a snapshot, and the other run's
    CREATE INDEX CONCURRENTLY waits for all snapshots: a deadlock.
    """
    while not await connection.scalar(LOCK):
        await connection.rollback()
        log.info("another migration is under way; waiting")
        await asyncio.sleep(POLL_SECONDS)
    # Alembic begins and ends transactions itself only when it finds none
    await connection.rollback()


async def _run() -> None:
    """One at a time, and never waiting long for a lock while the product runs."""
    engine = connect({"lock_timeout": LOCK_TIMEOUT}, poolclass=NullPool)
    async with engine.connect() as connection:
        await _wait_for_turn(connection)
        await connection.run_sync(_migrate)


asyncio.run(_run())
