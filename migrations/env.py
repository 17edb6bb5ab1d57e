"""Alembic: runs the migrations in `versions` on the database that DATABASE_URL names."""

import asyncio

import sqlalchemy as sa
from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine

from core.config import config
from core.database import async_url
from models import Model

LOCK_TIMEOUT = "5s"


def _migrate(connection: sa.Connection) -> None:
    """One at a time, and never waiting long for a lock while the product runs."""
    connection.execute(sa.text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    context.configure(
        connection=connection, target_metadata=Model.metadata, compare_type=True, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


async def _run() -> None:
    engine = create_async_engine(async_url(config().database_url))
    async with engine.connect() as connection:
        await connection.run_sync(_migrate)
        await connection.commit()
    await engine.dispose()


asyncio.run(_run())
