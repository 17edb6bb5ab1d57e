"""How far a broadcast is, summed from its chunks and tallies: a thousand small rows at most, never its recipients."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.errors import NotFound
from models.broadcasts import Broadcast, BroadcastChunk, BroadcastStatus, BroadcastTally, ChunkStatus

LATELY = timedelta(seconds=10)
ENDED = frozenset({BroadcastStatus.SENT, BroadcastStatus.FAILED, BroadcastStatus.CANCELLED})


class BroadcastLimiter(StrEnum):
    """What holds a sending back at the moment."""

    EXPANSION = "EXPANSION"
    WORKERS = "WORKERS"
    PAUSE = "PAUSE"


@dataclass(frozen=True)
class Stats:
    """The counts of a broadcast. Each status counts those behind it too: who opened it had it delivered."""

    total_recipients: int = 0
    total_sent: int = 0
    total_failed: int = 0
    total_delivered: int = 0
    total_opened: int = 0
    total_clicked: int = 0

    @property
    def open_rate(self) -> float | None:
        """Opened over delivered, 0 to 1; None where nothing was delivered."""
        return self.total_opened / self.total_delivered if self.total_delivered else None

    @property
    def click_rate(self) -> float | None:
        """Clicked over delivered, 0 to 1; None where nothing was delivered."""
        return self.total_clicked / self.total_delivered if self.total_delivered else None


@dataclass(frozen=True)
class Progress:
    """A broadcast at one moment.

    Attributes:
        chunks_leased: batches that workers are sending now.
        rate: recipients a second: lately while it is sending (see `Pace`), over the whole when it has ended.
    """

    id: UUID
    status: BroadcastStatus
    stats: Stats
    expanded: bool
    chunks_leased: int
    started_at: datetime | None
    ended_at: datetime | None
    at: datetime = field(compare=False)
    rate: float | None = field(default=None, compare=False)

    @property
    def pending(self) -> int:
        """Recipients without a result."""
        return self.stats.total_recipients - self.done

    @property
    def done(self) -> int:
        """Recipients with a result."""
        return self.stats.total_sent + self.stats.total_failed

    @property
    def eta(self) -> datetime | None:
        """When the last one should be sent, at the rate of lately; None when it is not moving."""
        if self.status is not BroadcastStatus.SENDING or not self.expanded or not self.rate:
            return None
        return self.at + timedelta(seconds=self.pending / self.rate)

    @property
    def limiter(self) -> BroadcastLimiter | None:
        """What holds it back: recipients being written, no free worker, a pause; None when nothing does."""
        if self.status is BroadcastStatus.PAUSED:
            return BroadcastLimiter.PAUSE
        if self.status is not BroadcastStatus.SENDING:
            return None
        if not self.expanded:
            return BroadcastLimiter.EXPANSION
        return None if self.chunks_leased else BroadcastLimiter.WORKERS

    @property
    def ended(self) -> bool:
        """Whether nothing more will be sent."""
        return self.status in ENDED


class Pace:
    """How fast a broadcast is going, from what was seen of it in the last ten seconds: pauses do not dilute it."""

    def __init__(self) -> None:
        self._seen: deque[tuple[datetime, int]] = deque()

    def of(self, progress: Progress) -> Progress:
        """`progress` with its rate; None until it has been seen twice."""
        if progress.ended and progress.started_at and progress.ended_at and progress.done:
            return replace(progress, rate=progress.done / _seconds(progress.started_at, progress.ended_at))
        self._seen.append((progress.at, progress.done))
        while progress.at - self._seen[0][0] > LATELY:
            self._seen.popleft()
        since, before = self._seen[0]
        moving = progress.status is BroadcastStatus.SENDING and progress.done > before
        return replace(progress, rate=(progress.done - before) / _seconds(since, progress.at)) if moving else progress


def _seconds(since: datetime, until: datetime) -> float:
    return max((until - since).total_seconds(), 0.001)


async def read(session: AsyncSession, app_id: UUID, broadcast_id: UUID) -> Progress:
    """How far a broadcast of the app is, in one statement, so that the counts agree with the status.

    Raises:
        NotFound: the app has no such broadcast.
    """
    of_it, tallied = BroadcastChunk.broadcast_id == Broadcast.id, BroadcastTally.broadcast_id == Broadcast.id
    leased = sa.select(sa.func.count()).where(of_it, BroadcastChunk.status == ChunkStatus.LEASED)
    statement = sa.select(
        Broadcast,
        _sum(BroadcastChunk.sent, of_it),
        _sum(BroadcastChunk.failed, of_it),
        _sum(BroadcastTally.delivered, tallied),
        _sum(BroadcastTally.opened, tallied),
        _sum(BroadcastTally.clicked, tallied),
        leased.scalar_subquery(),
    ).where(Broadcast.app_id == app_id, Broadcast.id == broadcast_id)
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound("There is no such broadcast.", field="broadcastId")
    broadcast, sent, failed, delivered, opened, clicked, leases = row
    return Progress(
        id=broadcast.id,
        status=broadcast.status,
        stats=Stats(broadcast.total_recipients, sent, failed, delivered, opened, clicked),
        expanded=broadcast.expanded_at is not None,
        chunks_leased=leases,
        started_at=broadcast.sent_at,
        ended_at=broadcast.completed_at,
        at=now(),
    )


def _sum(column: sa.orm.InstrumentedAttribute[int], condition: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.coalesce(sa.func.sum(column), 0)).where(condition).correlate(Broadcast).scalar_subquery()


async def stats(session: AsyncSession, broadcasts: Sequence[Broadcast]) -> list[Stats]:
    """The counts of each of `broadcasts`, in their order, in two statements however many they are."""
    ids = [broadcast.id for broadcast in broadcasts]
    chunks = sa.select(
        BroadcastChunk.broadcast_id, sa.func.sum(BroadcastChunk.sent), sa.func.sum(BroadcastChunk.failed)
    ).where(BroadcastChunk.broadcast_id.in_(ids))
    tallies = sa.select(
        BroadcastTally.broadcast_id,
        sa.func.sum(BroadcastTally.delivered),
        sa.func.sum(BroadcastTally.opened),
        sa.func.sum(BroadcastTally.clicked),
    ).where(BroadcastTally.broadcast_id.in_(ids))
    done = {row[0]: row[1:] for row in await session.execute(chunks.group_by(BroadcastChunk.broadcast_id))}
    told = {row[0]: row[1:] for row in await session.execute(tallies.group_by(BroadcastTally.broadcast_id))}
    return [Stats(one.total_recipients, *done.get(one.id, (0, 0)), *told.get(one.id, (0, 0, 0))) for one in broadcasts]
