"""Lists inside lists: a page of what belongs to each of many owners, in one statement for all."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from core.batcher import Batcher
from core.database import is_across_apps, transaction
from domain.pages import Columns, Page, PageRequest, cut, window
from models.base import Record

R = TypeVar("R", bound=Record)
Owner: TypeAlias = InstrumentedAttribute[UUID]


async def pages(
    session: AsyncSession, kind: type[R], owner: Owner, key: Columns, asked: Sequence[tuple[UUID, PageRequest]]
) -> dict[tuple[UUID, PageRequest], Page[R]]:
    """A page of the rows of each of some owners, oldest first; one statement for those of one request.

    Args:
        session: the transaction.
        kind: of rows.
        owner: their column with the owner's id.
        key: the unique columns that order them; there is an index on the owner and these.
        asked: owners, and which page of each.

    Raises:
        Invalid: a request cannot be answered.
    """
    by_request: dict[PageRequest, list[UUID]] = defaultdict(list)
    for id_, request in asked:
        by_request[request].append(id_)
    return {
        (id_, request): found
        for request, ids in by_request.items()
        for id_, found in (await _pages(session, (kind, owner, key), ids, request)).items()
    }


async def _pages(
    session: AsyncSession, of: tuple[type[R], Owner, Columns], ids: Sequence[UUID], request: PageRequest
) -> dict[UUID, Page[R]]:
    kind, owner, key = of
    wanted = sa.func.unnest(sa.cast(ids, sa.ARRAY(sa.UUID))).table_valued("id").render_derived(name="wanted")
    own = sa.select(kind).where(owner == wanted.c.id)
    row: Any = aliased(kind, window(own, key, request).lateral())
    found: dict[UUID, list[R]] = {id_: [] for id_ in ids}
    for one in await session.scalars(sa.select(row).select_from(wanted).join(row, sa.true())):
        found[getattr(one, owner.key)].append(one)
    counts: Batcher[UUID, int] = Batcher(partial(_counts, owner, across_apps=is_across_apps(session)))
    names, backward = [column.key for column in key], request.last is not None

    def place(one: R) -> list[Any]:
        return [getattr(one, name) for name in names]

    return {
        id_: cut(sorted(rows, key=place, reverse=backward), key, request, partial(counts.ask, id_))
        for id_, rows in found.items()
    }


async def _counts(owner: Owner, ids: list[UUID], *, across_apps: bool) -> Sequence[int]:
    rows = sa.select(owner, sa.func.count()).where(owner.in_(ids)).group_by(owner)
    async with transaction(across_apps=across_apps) as session:
        found = dict((await session.execute(rows)).all())
    return [found.get(id_, 0) for id_ in ids]
