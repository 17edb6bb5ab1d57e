"""Which actors follow a fact, and the dispatcher that wakes them and has notifications written.

A follower's work is due by a row of its own, written with the fact, so a wake-up that gets lost here is repaired by the
clock. Notifications are written in the transaction that marks the facts as served: all of it happens, or nothing.
"""

from typing import Any

import dramatiq
import structlog

from core.broker import wake
from core.database import on_commit, transaction
from core.errors import Unavailable
from domain import facts, viewers
from domain.notifications import writing as notifications
from jobs.broadcasts import expand_broadcast
from models.facts import Fact, FactKind

log = structlog.get_logger(__name__)
BATCH = 500
Follower = dramatiq.Actor[[str], Any]

FOLLOWERS: dict[FactKind, tuple[Follower, ...]] = {
    FactKind.BROADCAST_STARTED: (expand_broadcast,),
    FactKind.BROADCAST_RESUMED: (expand_broadcast,),
}
if FOLLOWERS.keys() != facts.WOKEN:
    raise RuntimeError("domain.facts.WOKEN must name the kinds that FOLLOWERS has.")


@dramatiq.actor(actor_name=facts.DISPATCHER)
async def dispatch_facts() -> None:
    """Serve the followers of all new facts."""
    await dispatch()


async def dispatch() -> None:
    """Serve the followers of all new facts, batch by batch.

    A batch that fails, as it means too much for one transaction, is tried again in smaller ones. A fact that fails
    alone is told to nobody, so that it keeps none of the others.
    """
    most = BATCH
    while True:
        try:
            if not await _dispatch_batch(most):
                return
        except Unavailable:
            raise
        except Exception:
            if most == 1:
                await _pass_over()
            most = max(1, most // 5)
            log.warning("facts not dispatched, next time fewer", most=most, exc_info=True)
        else:
            most = min(BATCH, most * 2)


async def _dispatch_batch(most: int) -> int:
    async with transaction() as session:
        batch = await facts.take(session, most)
        if batch:
            looking = await viewers.looking(notifications.conversations_of(batch))
            await notifications.follow(session, batch, looking)
        on_commit(session, lambda: _wake_followers(batch))
    return len(batch)


async def _pass_over() -> None:
    """Serve the oldest fact but for notifications."""
    async with transaction() as session:
        batch = await facts.take(session, 1)
        on_commit(session, lambda: _wake_followers(batch))
    log.error("fact told to nobody", facts=[str(fact.id) for fact in batch])


async def _wake_followers(batch: list[Fact]) -> None:
    for fact in batch:
        for follower in FOLLOWERS.get(fact.kind, ()):
            await wake(follower.actor_name, str(fact.entity_id), queue=follower.queue_name)
