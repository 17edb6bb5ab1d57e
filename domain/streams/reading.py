"""Reading streams: what came after a number, for one or for many of them in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from core.batcher import Batcher
from core.database import transaction
from models.streams import Stream, StreamEvent

PAGE = 200
AT_ONCE = 100
_ASKED = ("app_id", "name", "after")


class Asking(NamedTuple):
    """What comes after number `after` of the stream `name` of an app."""

    app_id: UUID
    name: str
    after: int


@dataclass
class Slice:
    """Some of a stream.

    Attributes:
        stream_id: which stream; 0 while it has had no event.
        head: the number of its newest event; 0 is none.
        events: the next ones, in order: at most a page.
    """

    stream_id: int = 0
    head: int = 0
    events: list[StreamEvent] = field(default_factory=list)

    def follows(self, after: int) -> bool:
        """Whether nothing is missing between `after`, the events, and the head if they reach it.

        What is too old has been deleted, and a number beyond the head is of a stream that was set back.
        """
        if not self.events:
            return after == self.head
        return self.events[0].seq == after + 1 and self.events[-1].seq == after + len(self.events)


async def read(session: AsyncSession, app_id: UUID, stream: str, after: int, limit: int = PAGE) -> Slice:
    """The events of a stream after number `after`, the oldest first, at most `limit`."""
    (found,) = await _read(session, [Asking(app_id, stream, after)], limit)
    return found


async def head(session: AsyncSession, app_id: UUID, stream: str) -> int:
    """The number of the newest event of a stream; 0 when it has had none."""
    found = sa.select(Stream.head).where(Stream.app_id == app_id, Stream.name == stream)
    return await session.scalar(found) or 0


async def oldest(session: AsyncSession, app_id: UUID, stream: str) -> int | None:
    """The number of the oldest event of a stream that is kept; None when none is."""
    of_it = sa.select(Stream.id).where(Stream.app_id == app_id, Stream.name == stream).scalar_subquery()
    return await session.scalar(sa.select(sa.func.min(StreamEvent.seq)).where(StreamEvent.stream_id == of_it))


async def _read(session: AsyncSession, asked: Sequence[Asking], limit: int) -> list[Slice]:
    """A slice for each asking, in their order, in one statement."""
    given = _given(asked)
    after = sa.select(StreamEvent).where(StreamEvent.stream_id == Stream.id, StreamEvent.seq > given.c.after)
    event = aliased(StreamEvent, after.order_by(StreamEvent.seq).limit(limit).lateral("event"))
    same = sa.and_(Stream.app_id == given.c.app_id, Stream.name == given.c.name)
    rows = sa.select(given.c.no, Stream.id, Stream.head, event).select_from(given).join(Stream, same)
    found = [Slice() for _ in asked]
    for no, stream_id, newest, row in await session.execute(
        rows.outerjoin(event, sa.true()).order_by(given.c.no, event.seq)
    ):
        slice_ = found[no - 1]
        slice_.stream_id, slice_.head = stream_id, newest
        slice_.events.extend([row] if row else [])
    return found


def _given(asked: Sequence[Asking]) -> sa.TableValuedAlias:
    kinds: tuple[sa.types.TypeEngine[Any], ...] = (sa.UUID(as_uuid=True), sa.Text(), sa.BigInteger())
    arrays = [sa.cast(list(part), sa.ARRAY(kind)) for part, kind in zip(zip(*asked, strict=True), kinds, strict=True)]
    return sa.func.unnest(*arrays).table_valued(*_ASKED, with_ordinality="no").render_derived(name="asked")


async def _read_all(asked: list[Asking]) -> list[Slice]:
    async with transaction(across_apps=True) as session:
        return await _read(session, asked, PAGE)


slices: Batcher[Asking, Slice] = Batcher(_read_all, largest=AT_ONCE)
"""Answers those who ask at the same moment by one statement, whatever apps they are of."""
