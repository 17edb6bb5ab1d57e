"""Dramatiq as transport of wake-ups. The record of what is due is in PostgreSQL; a lost or doubled wake-up is harmless.

Actors are not retried (the middleware for it is left out), never delayed, return nothing and take ids as strings.
"""

import asyncio
from functools import cache

import dramatiq
import structlog
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO, TimeLimit

from core.config import config

log = structlog.get_logger(__name__)
HEARTBEAT_MS = 15_000
ACTOR_LIMIT_MS = 300_000


@cache
def broker() -> RedisBroker:
    """The broker of this process. Timeouts are set: by default redis-py waits for ever."""
    made = RedisBroker(  # type: ignore[no-untyped-call]
        url=config().redis_url,
        namespace=f"{config().namespace}:jobs",
        heartbeat_timeout=HEARTBEAT_MS,
        maintenance_chance=1_000_000,
        middleware=[AsyncIO(), TimeLimit(time_limit=ACTOR_LIMIT_MS)],
        socket_timeout=5,
        socket_connect_timeout=2,
    )
    dramatiq.set_broker(made)
    return made


async def wake(actor: str, *ids: str, queue: str = "default") -> None:
    """Ask a worker to run `actor` with `ids`. Off the event loop, because enqueueing blocks.

    A broker that is away is logged and forgotten: the row that is due is woken again by the clock.
    """
    message: dramatiq.Message[None] = dramatiq.Message(
        queue_name=queue, actor_name=actor, args=ids, kwargs={}, options={}
    )
    try:
        await asyncio.to_thread(_enqueue, message)
    except Exception as error:  # noqa: BLE001
        log.warning("wake-up not delivered", actor=actor, error=type(error).__name__)


def _enqueue(message: "dramatiq.Message[None]") -> None:
    broker().declare_queue(message.queue_name)
    broker().enqueue(message)
