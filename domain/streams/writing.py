"""Appending to streams, as the last statement of the transaction.

A stream's row is locked while it counts, so that its numbers have no gaps and are in the order of the commits. As that
is the last thing before the commit, the row is held for the commit alone; all streams of the transaction are counted
in one statement, in one order, so nobody waits in a circle.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.database import before_commit
from core.json import encode
from domain.ticks import tick
from models.facts import Fact, FactKind

_APPENDED = "appended"
_COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "apps": sa.UUID(as_uuid=True),
    "names": sa.Text(),
    "kinds": sa.Text(),
    "entities": sa.UUID(as_uuid=True),
    "actors": sa.Text(),
    "data": sa.Text(),
    "times": sa.TIMESTAMP(timezone=True),
}
_NUMBER = sa.text("""
    WITH given AS (
      SELECT * FROM unnest(:apps, :names, :kinds, :entities, :actors, :data, :times)
        WITH ORDINALITY AS one (app_id, name, kind, entity_id, actor, data, created_at, no)
    ), counted AS (
      INSERT INTO streams (app_id, name, head)
      SELECT app_id, name, count(*) FROM given GROUP BY app_id, name ORDER BY app_id, name
      ON CONFLICT (app_id, name) DO UPDATE SET head = streams.head + excluded.head
      RETURNING id, app_id, name, head
    )
    INSERT INTO stream_events (stream_id, seq, app_id, kind, entity_id, actor, data, created_at)
    SELECT id, head - count(*) OVER (PARTITION BY id) + row_number() OVER (PARTITION BY id ORDER BY no),
      app_id, kind, entity_id, actor, data::jsonb, created_at
    FROM given JOIN counted USING (app_id, name)
""").bindparams(*(sa.bindparam(name, type_=sa.ARRAY(kind)) for name, kind in _COLUMNS.items()))


def topic(stream: str) -> str:
    """Where those who follow a stream listen: the ticks say that it has grown, and nothing else."""
    return f"stream:{stream}"


class Happened(NamedTuple):
    """What a stream tells though it is no fact: so many of them that nobody keeps them; named as in a fact."""

    app_id: UUID
    kind: FactKind
    entity_id: UUID
    actor: str
    data: dict[str, Any]
    created_at: datetime


def append(session: AsyncSession, fact: Fact, streams: Sequence[str]) -> None:
    """Have `fact`, which is new in the session, appended to `streams` of its app when the transaction ends."""
    _append(session, fact, streams)


def append_happened(session: AsyncSession, happened: Happened, *streams: str) -> None:
    """The same for what is no fact. A savepoint does not take it back."""
    _append(session, happened, streams)


def _append(session: AsyncSession, one: Fact | Happened, streams: Sequence[str]) -> None:
    if not streams:
        return
    appended = session.info.get(_APPENDED)
    if appended is None:
        appended = session.info[_APPENDED] = []
        before_commit(session, _write, last=True)
    appended.extend((stream, one) for stream in streams)


async def _write(session: AsyncSession) -> None:
    """What a savepoint has taken back is not in the session any more."""
    appended: list[tuple[str, Fact | Happened]] = session.info.pop(_APPENDED)
    kept = [(stream, one) for stream, one in appended if isinstance(one, Happened) or one in session]
    if not kept:
        return
    rows = [
        (one.app_id, stream, one.kind.value, one.entity_id, one.actor, encode(one.data).decode(), one.created_at)
        for stream, one in kept
    ]
    await session.execute(_NUMBER, dict(zip(_COLUMNS, map(list, zip(*rows, strict=True)), strict=True)))
    for stream in dict.fromkeys(stream for stream, _ in kept):
        tick(session, topic(stream))
