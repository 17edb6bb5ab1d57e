"""The clock: once a second it looks by index for what is due, and wakes it. Any number of clocks may run."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import structlog

from core.broker import wake
from core.database import dispose, transaction
from core.logging import configure_logging
from domain import facts, retention
from domain.broadcasts import control, expansion, turns
from jobs.broadcasts import expand_broadcast, wake_chunks

log = structlog.get_logger(__name__)
EVERY_SECONDS = 1.0


async def start_scheduled() -> None:
    """Start the broadcasts whose instant has come."""
    async with transaction() as session:
        await control.start_due(session)


async def wake_facts() -> None:
    """Wake the dispatcher when facts wait: their own wake-up may have been lost."""
    async with transaction() as session:
        waiting = await facts.waiting(session)
    if waiting:
        await wake(facts.DISPATCHER)


async def wake_expansions() -> None:
    """Wake the broadcasts whose recipients are not all written."""
    async with transaction() as session:
        due = await expansion.due(session)
    for broadcast_id in due:
        await wake(expand_broadcast.actor_name, str(broadcast_id), queue=expand_broadcast.queue_name)


async def advance_stalled() -> None:
    """Go on with broadcasts of which no chunk has its turn: end them when nothing is left to send."""
    async with transaction() as session:
        for broadcast_id in await turns.stalled(session):
            await turns.advance(session, broadcast_id)


async def purge() -> None:
    """Delete some of what has been kept for long enough."""
    async with transaction() as session:
        await retention.purge(session)


DUTIES: tuple[Callable[[], Awaitable[None]], ...] = (
    start_scheduled,
    wake_facts,
    wake_expansions,
    wake_chunks,
    advance_stalled,
    purge,
)


async def tick() -> None:
    """Do every duty once. One that fails is logged and tried again at the next tick; the others go on."""
    for duty in DUTIES:
        try:
            await duty()
        except Exception:
            log.warning("clock duty failed", duty=duty.__name__, exc_info=True)


async def run() -> None:
    """Tick until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    while not stop.is_set():
        await tick()
        try:
            await asyncio.wait_for(stop.wait(), EVERY_SECONDS)
        except TimeoutError:
            continue
    await dispose()


if __name__ == "__main__":
    configure_logging()
    asyncio.run(run())
