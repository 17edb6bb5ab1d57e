"""Sending ticks. Works in every process, whether or not it ever listens."""

from collections.abc import Iterable

import structlog

from core.pubsub.wire import GAP_MESSAGE, Tick, encode
from core.redis_client import RedisAway, reach

log = structlog.get_logger(__name__)
PUBLISH_SECONDS = 0.5

# Channels whose ticks this process had to drop: their subscribers are told of the gap with the next ticks it sends.
_owed: set[str] = set()


async def publish(ticks: Iterable[Tick]) -> None:
    """Send `ticks` to the subscribers of their topics in all processes, in one round trip of at most 0.5 s.

    With Redis away, which the client logs once, the ticks are dropped: they only say that the database has news.

    Raises:
        TypeError: the data of a tick is not what JSON knows.
    """
    frames = encode(ticks)
    if not frames:
        return
    owed = frozenset(_owed)
    try:
        await _send([*((channel, GAP_MESSAGE) for channel in owed), *frames.items()])
    except RedisAway as away:
        _owed.update(frames)
        log.debug("ticks dropped", channels=len(frames), reason=str(away))
    else:
        _owed.difference_update(owed)


async def _send(messages: list[tuple[str, str | bytes]]) -> None:
    async with reach(PUBLISH_SECONDS) as redis, redis.pipeline(transaction=False) as pipe:
        for channel, message in messages:
            pipe.publish(channel, message)
        await pipe.execute()
