"""Broadcasts at work: the audience becomes rows, chunks of rows are sent."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from uuid import UUID

import dramatiq

from core import ratelimit
from core.broker import wake
from core.clock import now
from core.config import config
from core.database import transaction
from core.errors import Unavailable
from core.ratelimit import Limit
from domain import bulk
from domain.broadcasts import batches, chunks, deciding, expansion, turns
from domain.broadcasts.batches import Batch, Pace
from domain.broadcasts.chunks import Lease, LeaseLostError
from domain.broadcasts.deciding import Plan
from jobs import sending, stopping
from jobs.sending import Sent

# A queue for bulk, so that workers can be kept for what should be quick; those that serve both take that first.
SENDING = "sending"
AFTER_OTHERS = 10
RENEWALS = 3
"""How often a lease is renewed before it would run out."""
RESULTS_SECONDS = 120.0
"""How long results are kept that cannot be written: a lease outlasts an outage, as nobody can take it meanwhile."""
AGAIN_SECONDS = 0.2
PATIENCE_SECONDS = 1.5
"""How long a worker waits for the speed limit; beyond that it lets go of the chunk."""


@dramatiq.actor
async def expand_broadcast(broadcast_id: str) -> None:
    """Write the recipients of a broadcast, slice by slice, then wake its first chunks."""
    more = True
    while more:
        async with transaction() as session:
            more = await expansion.expand_slice(session, UUID(broadcast_id))
    await wake_chunks(UUID(broadcast_id))


@dramatiq.actor(queue_name=SENDING, priority=AFTER_OTHERS)
async def send_chunk(broadcast_id: str, no: str) -> None:
    """Send one chunk, then wake the one whose turn it is next."""
    await work_chunk(UUID(broadcast_id), int(no))
    await wake_chunks(UUID(broadcast_id))


async def wake_chunks(broadcast_id: UUID | None = None) -> None:
    """Wake the chunks of a broadcast, or of all, whose turn has just come, or whose wake-up or worker got lost."""
    async with transaction() as session:
        due = await turns.due(session, broadcast_id)
    for id_, no in due:
        await wake(send_chunk.actor_name, str(id_), str(no), queue=send_chunk.queue_name)


@dataclass(frozen=True)
class Work:
    """A chunk that this worker owns, and what it needs for sending it."""

    lease: Lease
    plan: Plan
    pace: Pace

    @property
    def speed(self) -> int | None:
        """Messages a second that the broadcast may take."""
        return self.lease.broadcast.speed


async def work_chunk(broadcast_id: UUID, no: int) -> None:
    """Send one chunk, unless somebody else does, has done, or the broadcast is held."""
    async with transaction() as session:
        lease = await chunks.claim(session, broadcast_id, no)
        plan = await deciding.prepare(session, lease.broadcast) if lease else None
    if lease and plan:
        with suppress(LeaseLostError):
            await _send_leased(Work(lease, plan, batches.pace(plan)))


async def _send_leased(work: Work) -> None:
    """Intent, effect, result, for one micro-batch after the other."""
    batch = await _begin(work)
    while batch is not None:
        began = monotonic()
        done = await _send(work, batch)
        work.pace.went(len(batch.sends), monotonic() - began)
        batch = await _go_on(work, done)


async def _send(work: Work, batch: Batch) -> list[Sent]:
    """Send a micro-batch, and own the chunk as long as that takes; stop when somebody else has it."""
    try:
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(_keep(work.lease))
            done = await sending.send(work.plan.app.id, batch.sends)
            keeping.cancel()
    except* LeaseLostError as lost:
        raise LeaseLostError from lost
    return done


async def _keep(lease: Lease) -> None:
    """With the database away nobody else takes the chunk either: what is on its way goes on."""
    while True:
        await asyncio.sleep(config().lease_seconds / RENEWALS)
        with suppress(Unavailable):
            async with transaction() as session:
                await chunks.renew(session, lease)


async def _go_on(work: Work, done: Sequence[Sent]) -> Batch | None:
    """The results, and what follows. What providers have said is written once the database is back, if it is away."""
    end = monotonic() + RESULTS_SECONDS
    while True:
        try:
            following = await _record(work, done)
            break
        except Unavailable:
            if monotonic() > end:
                raise
        await asyncio.sleep(AGAIN_SECONDS)
    at_once = work.speed is None or stopping.asked()
    return following if at_once else await _begin(work)


async def _record(work: Work, done: Sequence[Sent]) -> Batch | None:
    """The results; the next intent rides in their commit, unless a speed limit stands between. May be repeated.

    A worker that is to end lets go of the chunk instead.
    """
    async with transaction() as session:
        held = await chunks.record(session, work.lease, [one.result for one in done])
        if dead := dict(one.dead_token for one in done if one.dead_token):
            await bulk.forget_push_tokens(session, work.plan.app.id, dead)
        if stopping.asked():
            await chunks.put_off(session, work.lease, now())
            return None
        if work.speed is not None:
            return None
        return await batches.begin(session, work.lease, work.plan, work.pace.size, held)


async def _begin(work: Work) -> Batch | None:
    """The next micro-batch, as large and as soon as the speed limit lets it be."""
    most = work.pace.size if work.speed is None else min(work.pace.size, work.speed)
    if work.speed is not None and not await _room(work.lease, work.speed, most):
        return None
    async with transaction() as session:
        return await batches.begin(session, work.lease, work.plan, most)


async def _room(lease: Lease, speed: int, wanted: int) -> bool:
    """Wait for room within the speed limit, which all workers share; let go of the chunk when that takes long."""
    limit = Limit(f"broadcast:{lease.broadcast.id}", speed, 1.0, burst=wanted, cost=wanted)
    while wait := (await ratelimit.spend(limit)).wait:
        if wait > PATIENCE_SECONDS:
            async with transaction() as session:
                await chunks.put_off(session, lease, now() + timedelta(seconds=wait))
            return False
        await asyncio.sleep(wait)
    return True
