"""One row of an app by its id: the way in which every rule finds what it is asked about."""

from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import NotFound
from models.base import Record

R = TypeVar("R", bound=Record)


async def own(  # noqa: PLR0913 - what is looked for, and how
    session: AsyncSession, kind: type[R], app_id: UUID, id_: UUID, name: str, *, lock: bool = False, field: str = "id"
) -> R:
    """The row of the app with this id, locked if need be.

    Args:
        session: the transaction.
        kind: a table with `app_id`.
        app_id: whose it must be; that of another app is as one that is not there.
        id_: its id.
        name: what it is called, as in "There is no such contact."
        lock: until the end of the transaction nobody else changes it.
        field: where the id came from.

    Raises:
        NotFound: the app has no such row.
    """
    table: Any = kind
    statement = sa.select(kind).where(table.app_id == app_id, table.id == id_)
    row: R | None = await session.scalar(statement.with_for_update(key_share=True) if lock else statement)
    if row is None:
        raise NotFound(f"There is no such {name}.", field=field)
    return row
