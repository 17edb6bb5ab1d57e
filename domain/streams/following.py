"""Following streams: one reader a process and stream, which reads each new event once for all who follow.

Whoever follows attaches first and reads history then, so nothing falls between. The numbers have no gaps, so whatever
might be missing is seen: it is read from history, and where that has it no more, or it is too much, RESYNC is told.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from uuid import UUID

import structlog

from core.pubsub import Closed, hub
from core.pubsub import Subscription as Ticks
from domain.streams.moments import Resync
from domain.streams.reading import Asking, Slice, slices
from domain.streams.writing import topic
from models.streams import StreamEvent

log = structlog.get_logger(__name__)
RING = 200
"""Newest events that a reader keeps."""
MOST_BEHIND = 5_000
"""Who has more than this to catch up with is told to read the state anew."""
LOOK_SECONDS = 5.0
AGAIN_SECONDS = 0.5


class Reader:
    """Reads one stream for this process, from the moment it starts.

    Attributes:
        stream_id: which stream; 0 while it has had no event.
        at: the number of the newest event read.
    """

    def __init__(self, app_id: UUID, stream: str) -> None:
        self.stream_id = self.at = 0
        self.followers = 0
        self._app_id = app_id
        self._stream = stream
        self._recent: deque[StreamEvent] = deque(maxlen=RING)
        self._moved = asyncio.Event()
        self._ended = False
        self._started = asyncio.Event()
        self.task = asyncio.create_task(self._run(), name=f"stream-{stream}")

    async def started(self) -> None:
        """Wait until it knows where the stream ends."""
        await self._started.wait()

    def next_move(self) -> asyncio.Event:
        """Set when it has read something more.

        Raises:
            Closed: it never will again.
        """
        if self._ended:
            raise Closed
        return self._moved

    def after(self, at: int) -> list[StreamEvent] | None:
        """What it has read after number `at`; None when it does not remember as much."""
        count = self.at - at
        if not 0 <= count <= len(self._recent):
            return None
        return list(islice(reversed(self._recent), count))[::-1]

    async def slice_after(self, at: int) -> Slice:
        """A page of history after number `at`."""
        return await slices.ask(Asking(self._app_id, self._stream, at))

    async def _run(self) -> None:
        try:
            async with hub().subscribe(topic(self._stream)) as ticks:
                await self._until_read(self._start)
                while True:
                    ticks.drain()
                    await self._until_read(self._read)
                    await _tick(ticks)
        except Closed:
            log.debug("stream let go", stream=self._stream)
        finally:
            self._ended = True
            self._started.set()
            self._tell()

    async def _until_read(self, read: Callable[[], Awaitable[None]]) -> None:
        """With the database away it tries again: followers wait, and miss nothing."""
        while True:
            try:
                return await read()
            except Exception as error:  # noqa: BLE001  a reader that dies is deaf for good
                log.warning("stream not read", error=type(error).__name__)
                await asyncio.sleep(AGAIN_SECONDS)

    async def _start(self) -> None:
        self._stand(await self.slice_after(2**62))
        self._started.set()

    async def _read(self) -> None:
        """All there is to read. What does not follow on what was read is left to each follower to see."""
        while (found := await self.slice_after(self.at)).head != self.at:
            if found.follows(self.at) and found.events:
                self._recent.extend(found.events)
                self.stream_id, self.at = found.stream_id, found.events[-1].seq
            else:
                self._stand(found)
            self._tell()

    def _stand(self, found: Slice) -> None:
        self._recent.clear()
        self.stream_id, self.at = found.stream_id, found.head

    def _tell(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()


class Follower:
    """One who follows a stream.

    Attributes:
        at: the number up to which they have been told; set it to begin elsewhere than at the newest event.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.at = reader.at

    @property
    def stream_id(self) -> int:
        """Which stream; 0 while it has had no event."""
        return self._reader.stream_id

    @property
    def behind(self) -> bool:
        """Whether there is something to be told at once."""
        return self.at != self._reader.at

    async def news(self) -> Sequence[StreamEvent] | Resync:
        """What came after `at`, waiting for it: the same objects for all who follow.

        Raises:
            Closed: nothing more will come.
        """
        while True:
            move = self._reader.next_move()
            if found := await self._found():
                self.at = found.seq if isinstance(found, Resync) else found[-1].seq
                return found
            await move.wait()

    async def _found(self) -> Sequence[StreamEvent] | Resync:
        recent = self._reader.after(self.at)
        if recent is not None:
            return recent
        found = await self._reader.slice_after(self.at)
        if found.follows(self.at) and found.head - self.at <= MOST_BEHIND:
            return found.events
        return Resync(found.stream_id, found.head)


_readers: dict[tuple[UUID, str], Reader] = {}


@asynccontextmanager
async def follow(app_id: UUID, stream: str) -> AsyncIterator[Follower]:
    """Follow a stream of an app from now on; the first to do so starts its reader, the last one stops it."""
    key = app_id, stream
    reader = _readers.get(key)
    if reader is None:
        reader = _readers[key] = Reader(app_id, stream)
    reader.followers += 1
    try:
        await reader.started()
        yield Follower(reader)
    finally:
        reader.followers -= 1
        if not reader.followers:
            del _readers[key]
            reader.task.cancel()


async def _tick(ticks: Ticks) -> None:
    """Wait for a tick, five seconds at the longest: one that got lost must not hold an event back."""
    await ticks.hear(random.uniform(0.5, 1.0) * LOOK_SECONDS)  # noqa: S311  spreads the load
