"""What subscriptions tell: the state now, then anew whenever it has changed; or each event of a stream, in order."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Container, Sequence
from typing import Any, TypeVar

from core.pubsub import Closed, hub
from domain.streams.following import Follower, follow
from domain.streams.moments import Moment, Place, Resync, Snapshot, place_of
from models.facts import FactKind
from models.streams import StreamEvent
from schema.context import Info, Window

S = TypeVar("S")
_Snapshot = Callable[[], Awaitable[Sequence[Any]]]
FRAME_SECONDS = 0.25
LOOK_SECONDS = 5.0


async def snapshots(topic: str, read: Callable[[], Awaitable[S]]) -> AsyncGenerator[S, None]:
    """Yield what `read` says now, and again when a tick of `topic` changed it: at most 4 a second, the latest wins.

    A tick that got lost costs five seconds: it looks by itself then.
    """
    last: S | None = None
    async with hub().subscribe(topic) as ticks:
        while True:
            ticks.drain()
            if (state := await read()) != last:
                yield (last := state)
            await asyncio.sleep(FRAME_SECONDS)
            await ticks.hear(LOOK_SECONDS)


async def events(
    info: Info,
    stream: str,
    after: str | None,
    *,
    kinds: Container[FactKind] | None = None,
    snapshot: _Snapshot | None = None,
) -> AsyncGenerator[Moment, None]:
    """What happens in a stream of the asker's app, from `after` on, and RESYNC where that cannot be told.

    Args:
        info: of the subscription.
        stream: its name, as the facts are recorded with it.
        after: a cursor; without one the state comes first, when there is a `snapshot`.
        kinds: what is told; everything when not given.
        snapshot: reads the state.

    Raises:
        Invalid: `after` is no cursor.
    """
    window, place = info.context.window, place_of(after) if after is not None else None
    async with follow(info.context.asker().app_id, stream) as follower:
        for moment in await _beginning(follower, window, place, snapshot):
            window.position = moment.seq
            yield moment
        window.position = follower.at
        while window.live or follower.behind:
            try:
                news = await follower.news()
            except Closed:
                return
            told = await _told(news, kinds, snapshot)
            for left, moment in zip(range(len(told) - 1, -1, -1), told, strict=True):
                window.position, window.more = moment.seq, left > 0
                yield moment
            window.position = follower.at


async def _beginning(
    follower: Follower, window: Window, place: Place | None, snapshot: _Snapshot | None
) -> list[Moment]:
    """Where to begin, and what to tell at once: nothing to who goes on."""
    if window.start is not None:
        follower.at = window.start
        return []
    if place is None:
        return await _state(follower.stream_id, follower.at, snapshot)
    if 0 not in {place.stream_id, follower.stream_id} and place.stream_id != follower.stream_id:
        return await _told(Resync(follower.stream_id, follower.at), None, snapshot)
    follower.at = place.seq
    return []


async def _told(
    news: Sequence[StreamEvent] | Resync, kinds: Container[FactKind] | None, snapshot: _Snapshot | None
) -> list[Moment]:
    """The events of these kinds; after RESYNC the state."""
    if isinstance(news, Resync):
        return [news, *await _state(news.stream_id, news.seq, snapshot)]
    return [event for event in news if kinds is None or event.kind in kinds]


async def _state(stream_id: int, seq: int, snapshot: _Snapshot | None) -> list[Moment]:
    return [Snapshot(stream_id, seq, await snapshot())] if snapshot else []
