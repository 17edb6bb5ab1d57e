"""Lists in pages, by key: a page starts where the last one ended, however long the list is."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.database import transaction
from core.errors import Invalid

Row = TypeVar("Row")
DEFAULT_SIZE = 50
LARGEST = 100


@dataclass(frozen=True)
class PageRequest:
    """Which page is asked for: the `first` after a cursor, or the `last` before one."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    @property
    def size(self) -> int:
        """Rows a page holds, 1 to 100."""
        asked = self.last if self.last is not None else self.first
        return DEFAULT_SIZE if asked is None else asked

    def check(self) -> None:
        """Refuse what cannot be answered.

        Raises:
            Invalid: both directions at once, or a size out of 1 to 100.
        """
        if self.last is not None and (self.first is not None or self.after is not None):
            raise Invalid("Ask for first and after, or for last and before, not for both.", field="last")
        if not 1 <= self.size <= LARGEST:
            raise Invalid(f"A page holds 1 to {LARGEST} entries.", field="first" if self.last is None else "last")


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows of a list, with what is needed to go on.

    Attributes:
        cursor_of: the cursor of a row.
        count: counts the whole list; a statement of its own, run only when somebody asks.
    """

    rows: Sequence[Row]
    has_next: bool
    has_previous: bool
    cursor_of: Callable[[Row], str]
    count: Callable[[], Awaitable[int]]


def encode_cursor(key: object) -> str:
    """An opaque cursor for `key`, a UUID or a whole number."""
    return base64.urlsafe_b64encode(str(key).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, kind: sa.types.TypeEngine[Any], field: str) -> Any:
    """The key inside a cursor, a value that a column of type `kind` can hold.

    Raises:
        Invalid: it is none of ours.
    """
    try:
        return _key(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode(), kind)
    except (ValueError, binascii.Error):
        raise Invalid(
            f"{field} is not a cursor of this list; take one from pageInfo or an edge.", field=field
        ) from None


def _key(text: str, kind: sa.types.TypeEngine[Any]) -> Any:
    """Raises ValueError for what is no value of the type, or beyond what its column can hold."""
    value = kind.python_type(text)
    if isinstance(kind, sa.Integer) and value.bit_length() > _bits(kind):
        raise ValueError("out of range")
    return value


def _bits(kind: sa.Integer) -> int:
    """Of the largest number that a column of this type can hold."""
    if isinstance(kind, sa.BigInteger):
        return 63
    return 15 if isinstance(kind, sa.SmallInteger) else 31


async def page(
    session: AsyncSession,
    rows: sa.Select[Row],
    key: sa.orm.InstrumentedAttribute[Any],
    request: PageRequest,
    *,
    newest_first: bool = False,
) -> Page[Row]:
    """One page of `rows`, ordered by the unique column `key`; one row more than asked tells whether there is more."""
    request.check()
    backward = request.last is not None
    field, cursor = ("before", request.before) if backward else ("after", request.after)
    descending = newest_first != backward
    statement = rows.order_by(key.desc() if descending else key.asc()).limit(request.size + 1)
    if cursor is not None:
        edge = decode_cursor(cursor, key.type, field)
        statement = statement.where(key < edge if descending else key > edge)
    found = list(await session.scalars(statement))
    more, kept = len(found) > request.size, found[: request.size]
    return Page(
        rows=kept[::-1] if backward else kept,
        has_next=cursor is not None if backward else more,
        has_previous=more if backward else cursor is not None,
        cursor_of=lambda row: encode_cursor(getattr(row, key.key)),
        count=lambda: _count(rows),
    )


async def _count(rows: sa.Select[Any]) -> int:
    async with transaction() as session:
        return await session.scalar(sa.select(sa.func.count()).select_from(rows.order_by(None).subquery())) or 0
