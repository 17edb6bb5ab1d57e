"""Dramatiq as transport of wake-ups. The record of what is due is in PostgreSQL; a lost or doubled wake-up is harmless.

Actors are not retried (the middleware for it is left out), never delayed, return nothing and take ids as strings.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import dramatiq
import structlog
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO, TimeLimit
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.config import config

log = structlog.get_logger(__name__)
HEARTBEAT_MS = 15_000
ACTOR_LIMIT_MS = 300_000
WAIT_SECONDS = 0.5
PAUSE_SECONDS = 1.0

# Threads of its own: those of the event loop are needed for hashing passwords, however long Redis takes to answer.
_threads = ThreadPoolExecutor(2, thread_name_prefix="wake")


@dataclass
class _Line:
    """How the last wake-up went. `silent_until` is on the monotonic clock, 0.0 after one that was delivered."""

    silent_until: float = 0.0

    def is_silent(self) -> bool:
        """Whether the broker failed just now. After a pause one caller may try, and keeps the others off meanwhile."""
        at = time.monotonic()
        if at < self.silent_until:
            return True
        if self.silent_until:
            self.silent_until = at + WAIT_SECONDS
        return False


_line = _Line()


@cache
def broker() -> RedisBroker:
    """The broker of this process. Timeouts are set: by default redis-py waits for ever."""
    made = RedisBroker(  # type: ignore[no-untyped-call]
        client=Redis.from_url(
            config().redis_url, socket_timeout=5, socket_connect_timeout=2, retry=Retry(NoBackoff(), retries=1)
        ),
        namespace=f"{config().namespace}:jobs",
        heartbeat_timeout=HEARTBEAT_MS,
        maintenance_chance=1_000_000,
        middleware=[AsyncIO(), TimeLimit(time_limit=ACTOR_LIMIT_MS)],
    )
    dramatiq.set_broker(made)
    return made


async def wake(actor: str, *ids: str, queue: str = "default") -> None:
    """Ask a worker to run `actor` with `ids`: off the event loop, because enqueueing blocks, and for at most 0.5 s.

    A broker that is away is logged and forgotten: the row that is due is woken again by the clock. For a second after
    a failure it is not even asked, so that whoever wakes many, or an API under load, does not wait again and again.
    """
    if _line.is_silent():
        log.debug("wake-up not tried", actor=actor)
        return
    message: dramatiq.Message[None] = dramatiq.Message(
        queue_name=queue, actor_name=actor, args=ids, kwargs={}, options={}
    )
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await asyncio.get_running_loop().run_in_executor(_threads, _enqueue, message)
    except Exception as error:  # noqa: BLE001
        _line.silent_until = time.monotonic() + PAUSE_SECONDS
        log.warning("wake-up not delivered", actor=actor, error=type(error).__name__)
    else:
        _line.silent_until = 0.0


def _enqueue(message: "dramatiq.Message[None]") -> None:
    broker().declare_queue(message.queue_name)
    broker().enqueue(message)
