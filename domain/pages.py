"""Lists in pages, by key: a page starts where the last one ended, however long the list is."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.database import is_across_apps, transaction
from core.errors import Invalid

Row = TypeVar("Row")
Column: TypeAlias = sa.orm.InstrumentedAttribute[Any]
Columns: TypeAlias = tuple[Column, ...]
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


@dataclass(frozen=True)
class Runs:
    """The runs by which the rows of a list are found: the number of each, its first and its last key; in one order."""

    no: Column
    first: Column
    last: Column


def encode_cursor(*key: object) -> str:
    """An opaque cursor for a key: a UUID, a whole number, or several values one after the other."""
    written = "|".join(str(value) for value in key)
    return base64.urlsafe_b64encode(written.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, kinds: Sequence[sa.types.TypeEngine[Any]], field: str) -> list[Any]:
    """The key inside a cursor: for each of `kinds` a value that a column of this type can hold.

    Raises:
        Invalid: it is none of ours.
    """
    try:
        values = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split("|")
        return [_key(text, kind) for text, kind in zip(values, kinds, strict=True)]
    except (ValueError, binascii.Error):
        raise Invalid(
            f"{field} is not a cursor of this list; take one from pageInfo or an edge.", field=field
        ) from None


def _key(text: str, kind: sa.types.TypeEngine[Any]) -> Any:
    """Raises ValueError for what is no value of the type, or beyond what its column can hold."""
    if isinstance(kind, sa.DateTime):
        return _instant(text)
    value = kind.python_type(text)
    if isinstance(kind, sa.Integer) and value.bit_length() > _bits(kind):
        raise ValueError("out of range")
    return value


def _instant(text: str) -> datetime:
    """Raises ValueError for what is none, or has no zone."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range") from None


def _bits(kind: sa.Integer) -> int:
    """Of the largest number that a column of this type can hold."""
    if isinstance(kind, sa.BigInteger):
        return 63
    return 15 if isinstance(kind, sa.SmallInteger) else 31


async def page(
    session: AsyncSession,
    rows: sa.Select[Row],
    key: Column | Columns,
    request: PageRequest,
    *,
    newest_first: bool = False,
    runs: Runs | None = None,
) -> Page[Row]:
    """One page of `rows`, ordered by the unique `key`, a column or several; one row more than asked tells of more.

    `runs` says by which runs the rows are found, when they are not read one after the other.
    """
    statement = window(rows, key, request, newest_first=newest_first, runs=runs)
    return cut(list(await session.scalars(statement)), key, request, counter(session, rows))


def counter(session: AsyncSession, rows: sa.Select[Any]) -> Callable[[], Awaitable[int]]:
    """Counts `rows` when it is called, in a transaction of its own that reaches as far as this one."""
    return partial(_count, rows, across_apps=is_across_apps(session))


def window(
    rows: sa.Select[Row],
    key: Column | Columns,
    request: PageRequest,
    *,
    newest_first: bool = False,
    runs: Runs | None = None,
) -> sa.Select[Row]:
    """The statement that reads a page and one row more, those before a cursor backwards; `cut` takes what it finds.

    Raises:
        Invalid: the request cannot be answered.
    """
    request.check()
    backward = request.last is not None
    field, cursor = ("before", request.before) if backward else ("after", request.after)
    columns, descending = _columns(key), newest_first != backward
    statement = rows.order_by(*_order(columns, runs, descending=descending)).limit(request.size + 1)
    if cursor is None:
        return statement
    edge = decode_cursor(cursor, [column.type for column in columns], field)
    return statement.where(*_beyond(edge, columns, runs, descending=descending))


def cut(
    found: Sequence[Row], key: Column | Columns, request: PageRequest, count: Callable[[], Awaitable[int]]
) -> Page[Row]:
    """The page among what the statement of `window` has found."""
    backward = request.last is not None
    cursor = request.before if backward else request.after
    more, kept = len(found) > request.size, found[: request.size]
    names = [column.key for column in _columns(key)]
    return Page(
        rows=kept[::-1] if backward else kept,
        has_next=cursor is not None if backward else more,
        has_previous=more if backward else cursor is not None,
        cursor_of=lambda row: encode_cursor(*(getattr(row, name) for name in names)),
        count=count,
    )


def _columns(key: Column | Columns) -> Columns:
    return key if isinstance(key, tuple) else (key,)


def _order(columns: Columns, runs: Runs | None, *, descending: bool) -> list[sa.UnaryExpression[Any]]:
    ordered = [runs.no, *columns] if runs else columns
    return [column.desc() if descending else column.asc() for column in ordered]


def _beyond(
    edge: Sequence[object], columns: Columns, runs: Runs | None, *, descending: bool
) -> list[sa.ColumnElement[bool]]:
    """The conditions of what lies behind a cursor; runs that end before it are not looked into."""
    key, place = sa.tuple_(*columns), sa.tuple_(*edge, types=[column.type for column in columns])
    if descending:
        return [key < place, *([runs.first < place] if runs else [])]
    return [key > place, *([runs.last > place] if runs else [])]


async def _count(rows: sa.Select[Any], *, across_apps: bool) -> int:
    async with transaction(across_apps=across_apps) as session:
        return await session.scalar(sa.select(sa.func.count()).select_from(rows.order_by(None).subquery())) or 0
