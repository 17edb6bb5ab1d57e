"""How far a broadcast is, summed from its chunks and tallies: a thousand small rows at most, never its recipients."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from core.clock import now
from core.errors import NotFound
from models.broadcasts import Broadcast, BroadcastChunk, BroadcastStatus, BroadcastTally, ChunkStatus

LATELY = timedelta(seconds=10)
_STANDINGS = (
    BroadcastChunk.status == ChunkStatus.LEASED,
    BroadcastChunk.status == ChunkStatus.WAITING,
    BroadcastChunk.status != ChunkStatus.DONE,
)
_OF_CHUNKS = (BroadcastChunk.sent, BroadcastChunk.failed, BroadcastChunk.skipped, BroadcastChunk.uncertain)
_OF_TALLIES = (
    BroadcastTally.delivered,
    BroadcastTally.opened,
    BroadcastTally.clicked,
    BroadcastTally.machine_opened,
    BroadcastTally.settled,
)
ENDED = frozenset({BroadcastStatus.SENT, BroadcastStatus.FAILED, BroadcastStatus.CANCELLED})


class BroadcastLimiter(StrEnum):
    """What holds a sending back at the moment."""

    EXPANSION = "EXPANSION"
    WORKERS = "WORKERS"
    PAUSE = "PAUSE"
    SPEED = "SPEED"
    TIME = "TIME"


@dataclass(frozen=True)
class Stats:
    """The counts of a broadcast. Each status counts those behind it too: who opened it had it delivered."""

    total_recipients: int = 0
    total_sent: int = 0
    total_failed: int = 0
    total_delivered: int = 0
    total_opened: int = 0
    total_clicked: int = 0
    total_skipped: int = 0
    total_uncertain: int = 0
    total_machine_opened: int = 0

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
        chunks_waiting: batches of which all that is left waits for an instant.
        chunks_open: batches that are not through, these included.
        speed: recipients a second at most; None is no limit.
        rate: recipients a second: lately while it is sending (see `Pace`), over the whole when it has ended.
    """

    id: UUID
    status: BroadcastStatus
    stats: Stats
    expanded: bool
    chunks_leased: int
    chunks_waiting: int
    chunks_open: int
    speed: int | None
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
        return self.stats.total_sent + self.stats.total_failed + self.stats.total_skipped + self.stats.total_uncertain

    @property
    def eta(self) -> datetime | None:
        """When the last one should be sent, at the rate of lately; None when it is not moving."""
        if self.status is not BroadcastStatus.SENDING or not self.expanded or not self.rate:
            return None
        return self.at + timedelta(seconds=self.pending / self.rate)

    @property
    def limiter(self) -> BroadcastLimiter | None:
        """What holds it back; None when nothing does."""
        if self.status is BroadcastStatus.PAUSED:
            return BroadcastLimiter.PAUSE
        if self.status is not BroadcastStatus.SENDING:
            return None
        if not self.expanded:
            return BroadcastLimiter.EXPANSION
        if self.speed is not None:
            return BroadcastLimiter.SPEED
        if self.chunks_open and self.chunks_waiting == self.chunks_open:
            return BroadcastLimiter.TIME
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
    statement = sa.select(
        Broadcast,
        *(_sum(column, of_it) for column in _OF_CHUNKS),
        *(_sum(column, tallied) for column in _OF_TALLIES),
        *(_chunks(of_it, condition) for condition in _STANDINGS),
    ).where(Broadcast.app_id == app_id, Broadcast.id == broadcast_id)
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound("There is no such broadcast.", field="broadcastId")
    broadcast, *counts = row
    *counted, leased, waiting, open_ = counts
    return Progress(
        id=broadcast.id,
        status=broadcast.status,
        stats=_stats(broadcast, *counted),
        expanded=broadcast.expanded_at is not None,
        chunks_leased=leased,
        chunks_waiting=waiting,
        chunks_open=open_,
        speed=broadcast.speed,
        started_at=broadcast.sent_at,
        ended_at=broadcast.completed_at,
        at=now(),
    )


def _sum(column: InstrumentedAttribute[int], condition: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.coalesce(sa.func.sum(column), 0)).where(condition).correlate(Broadcast).scalar_subquery()


def _chunks(*conditions: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).where(*conditions).correlate(Broadcast).scalar_subquery()


def _stats(broadcast: Broadcast, *counts: int) -> Stats:
    """The counts in the order of `_OF_CHUNKS` and `_OF_TALLIES`."""
    sent, failed, skipped, uncertain, delivered, opened, clicked, machine_opened, settled = counts
    return Stats(
        total_recipients=broadcast.total_recipients,
        total_sent=sent + settled,
        total_failed=failed,
        total_delivered=delivered,
        total_opened=opened,
        total_clicked=clicked,
        total_skipped=skipped,
        total_uncertain=uncertain - settled,
        total_machine_opened=machine_opened,
    )


async def stats(session: AsyncSession, broadcasts: Sequence[Broadcast]) -> list[Stats]:
    """The counts of each of `broadcasts`, in their order, in two statements however many they are."""
    ids = [broadcast.id for broadcast in broadcasts]
    done = await _summed(session, BroadcastChunk.broadcast_id, _OF_CHUNKS, ids)
    told = await _summed(session, BroadcastTally.broadcast_id, _OF_TALLIES, ids)
    return [_stats(one, *done[one.id], *told[one.id]) for one in broadcasts]


async def _summed(
    session: AsyncSession,
    of: InstrumentedAttribute[UUID],
    columns: Sequence[InstrumentedAttribute[int]],
    ids: list[UUID],
) -> dict[UUID, Sequence[int]]:
    """The sums of some columns for each broadcast; zeros where there is no row."""
    sums = sa.select(of, *(sa.func.sum(column) for column in columns)).where(of.in_(ids)).group_by(of)
    found = {row[0]: row[1:] for row in await session.execute(sums)}
    return {id_: found.get(id_, (0,) * len(columns)) for id_ in ids}
