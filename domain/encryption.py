"""Secrets at rest, encrypted anew: whatever an older key has closed is closed by the newest one.

Which columns are encrypted they say themselves, by their info (see `models.base`). Each value is bound to its place,
`<table>.<column>:<primary key>`.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.database import transaction
from core.encryption import decrypt, encrypt, newest_key
from core.errors import Misconfigured
from models.base import Model

AT_ONCE = 500


@dataclass(frozen=True)
class Slice:
    """What came of some values.

    Attributes:
        changed: how many the newest key has closed.
        unopened: why others could not be opened, a sentence each; they stay as they are.
        last: the primary key of the last row.
    """

    changed: int
    unopened: list[str]
    last: tuple[Any, ...]


def columns() -> list[sa.Column[Any]]:
    """The columns that are encrypted, in all tables."""
    every = (column for table in Model.metadata.sorted_tables for column in table.columns)
    return [column for column in every if column.info.get("encrypted")]


async def outdated() -> int:
    """How many values an older key has closed. Has its own transactions.

    Raises:
        Misconfigured: REPLYHQ_ENCRYPTION_KEYS is missing or malformed.
    """
    count = 0
    for column in columns():
        async with transaction() as session:
            count += await session.scalar(sa.select(sa.func.count()).where(_is_outdated(column))) or 0
    return count


def _is_outdated(column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    return sa.and_(column.is_not(None), ~column.startswith(f"{newest_key()}:", autoescape=True))


async def rotate() -> AsyncIterator[Slice]:
    """Encrypt all of them anew, 500 in a transaction of their own, beside the running product.

    What is done stays done: when it is broken off the next run goes on from there.
    """
    for column in columns():
        after: tuple[Any, ...] | None = None
        while True:
            async with transaction() as session:
                done = await _rotate_slice(session, column, after)
            if done is None:
                break
            yield done
            after = done.last


async def _rotate_slice(session: AsyncSession, column: sa.Column[Any], after: tuple[Any, ...] | None) -> Slice | None:
    """The next rows of a table by primary key, locked: what somebody changes meanwhile is waited for and then seen."""
    key = list(column.table.primary_key.columns)
    rows = sa.select(*key, column).where(_is_outdated(column)).order_by(*key).limit(AT_ONCE)
    rows = rows.where(sa.tuple_(*key) > sa.tuple_(*after)) if after else rows
    found = (await session.execute(rows.with_for_update(key_share=True))).all()
    if not found:
        return None
    failures = [await _rotate_value(session, column, tuple(id_), closed) for *id_, closed in found]
    unopened = [why for why in failures if why]
    return Slice(len(found) - len(unopened), unopened, tuple(found[-1][:-1]))


async def _rotate_value(session: AsyncSession, column: sa.Column[Any], id_: tuple[Any, ...], closed: str) -> str | None:
    """Why a value could not be opened; None when the newest key has closed it."""
    place = f"{column.table.name}.{column.name}:{':'.join(map(str, id_))}"
    try:
        anew = encrypt(decrypt(closed, place), place)
    except Misconfigured as error:
        return f"{place}: {error.reason}"
    own = sa.tuple_(*column.table.primary_key.columns) == sa.tuple_(*id_)
    await session.execute(sa.update(column.table).where(own).values({column: anew}))
    return None
