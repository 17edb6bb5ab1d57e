"""Broadcasts at work: the audience becomes rows, chunks of rows are sent."""

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import dramatiq

from channels.base import Channel, Outgoing
from core.broker import wake
from core.database import transaction
from domain.broadcasts import chunks, expansion, turns
from domain.broadcasts.chunks import Lease, LeaseLostError, Result, Unsent
from jobs.channels import IN_APP

# A queue for bulk, so that workers can be kept for what should be quick; those that serve both take that first.
SENDING = "sending"
AFTER_OTHERS = 10


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


async def work_chunk(broadcast_id: UUID, no: int) -> None:
    """Send one chunk, unless somebody else does, has done, or the broadcast is held."""
    async with transaction() as session:
        lease = await chunks.claim(session, broadcast_id, no)
    if lease is None:
        return
    with suppress(LeaseLostError):
        await _send_leased(lease, IN_APP)


async def _send_leased(lease: Lease, channel: Channel) -> None:
    """Intent, effect, result; the next intent rides in the commit of the last result."""
    async with transaction() as session:
        batch = await chunks.begin(session, lease)
    while batch:
        results = await _send(lease, channel, batch)
        async with transaction() as session:
            await chunks.record(session, lease, results)
            batch = await chunks.begin(session, lease)


async def _send(lease: Lease, channel: Channel, batch: Sequence[Unsent]) -> list[Result]:
    """Give a micro-batch to the channel."""
    by_key = {chunks.send_key(lease.broadcast.id, recipient.seq): recipient for recipient in batch}
    outgoing = [_outgoing(lease, key, recipient) for key, recipient in by_key.items()]
    outcomes = await channel.send(outgoing)
    return [Result(by_key[outcome.key].seq, outcome.error_code) for outcome in outcomes]


def _outgoing(lease: Lease, key: str, recipient: Unsent) -> Outgoing:
    broadcast = lease.broadcast
    return Outgoing(key, broadcast.app_id, recipient.device_id, broadcast.title, broadcast.body, broadcast.data)
