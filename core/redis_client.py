"""Redis or Valkey: one client an event loop, made at first use.

`reach()` is the way to use it: it bounds every wait, and whatever keeps the server from answering is one error,
RedisAway.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from core.config import config

log = structlog.get_logger(__name__)
WAIT_SECONDS = 2.0
PAUSE_SECONDS = 1.0
CONNECTIONS = 32


class RedisAway(Exception):
    """Redis did not do what it was asked, in time or at all."""


@dataclass
class _Line:
    """The client of one loop, and how the last use went. `silent_until` is in loop time, 0.0 after an answer."""

    client: Redis
    silent_until: float = 0.0
    failed: bool = False

    def note(self, error: Exception | None) -> None:
        """One line in the log when an outage begins and one when it ends, however many callers it hits."""
        if error is not None and not self.failed:
            log.warning("redis away", error=type(error).__name__)
        if error is None and self.failed:
            log.info("redis back")
        self.failed = error is not None


_lines: dict[asyncio.AbstractEventLoop, _Line] = {}


async def close() -> None:
    """Close the connections of the running event loop; the next use opens new ones."""
    line = _lines.pop(asyncio.get_running_loop(), None)
    if line is not None:
        await line.client.aclose()


@asynccontextmanager
async def reach(seconds: float = WAIT_SECONDS, *, patient: bool = False) -> AsyncIterator[Redis]:
    """The client, for a block that ends within `seconds`.

    After a timeout callers fail at once for a while, and then one of them tries again: a server that swallows
    packets would otherwise cost every request the whole wait. `patient` is for background work that nobody waits
    for: it always tries, and when it gets through, all may again.

    Raises:
        RedisAway: the server is not there, answers with an error, or is too slow.
    """
    line = _line()
    if not patient:
        _check(line, seconds)
    try:
        async with asyncio.timeout(seconds):
            yield line.client
    except (RedisTimeoutError, TimeoutError) as error:
        line.note(error)
        line.silent_until = asyncio.get_running_loop().time() + PAUSE_SECONDS
        raise RedisAway("no answer in time") from error
    except (RedisError, OSError) as error:
        line.note(error)
        raise RedisAway(type(error).__name__) from error
    line.note(None)
    line.silent_until = 0.0


def _check(line: _Line, seconds: float) -> None:
    """Let one caller try a silent server, and keep the others off until it knows."""
    now = asyncio.get_running_loop().time()
    if now < line.silent_until:
        raise RedisAway("did not answer just now")
    if line.silent_until:
        line.silent_until = now + seconds


def _line() -> _Line:
    loop = asyncio.get_running_loop()
    found = _lines.get(loop)
    if found is None:
        _forget_closed_loops()
        found = _lines[loop] = _Line(_make())
    return found


def _forget_closed_loops() -> None:
    for loop in [loop for loop in _lines if loop.is_closed()]:
        del _lines[loop]


def _make() -> Redis:
    """A pool that queues its callers. One more try, because a pooled connection may have died unnoticed.

    No timeouts of its own: the one of reach() covers them, and before Python 3.12 the `wait_for` in redis-py loses a
    cancellation that comes just as it finishes, so that a call took twice its bound.
    """
    pool = BlockingConnectionPool.from_url(
        config().redis_url,
        max_connections=CONNECTIONS,
        timeout=None,
        socket_timeout=None,
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        protocol=2,
    )
    return Redis.from_pool(pool)
