"""The steps of a worker, one by one, for tests of the rules of sending."""

from core.database import transaction
from domain.broadcasts import batches, chunks, deciding
from domain.broadcasts.batches import Batch
from domain.broadcasts.chunks import Lease
from domain.broadcasts.results import Result
from models.broadcasts import Broadcast, RecipientStatus


async def claim(broadcast: Broadcast, no: int = 1) -> Lease | None:
    """A chunk, if it is free."""
    async with transaction() as session:
        return await chunks.claim(session, broadcast.id, no)


async def leased(broadcast: Broadcast, no: int = 1) -> Lease:
    """The chunk, which must be free."""
    lease = await claim(broadcast, no)
    assert lease, "somebody else has the chunk"
    return lease


async def intended(lease: Lease) -> Batch | None:
    """The next micro-batch."""
    async with transaction() as session:
        plan = await deciding.prepare(session, lease.broadcast)
        return await batches.begin(session, lease, plan, batches.MICRO_BATCH)


async def begin(lease: Lease) -> list[int]:
    """The numbers of the next micro-batch that is sent to anybody."""
    batch = await intended(lease)
    while batch is not None and not batch.sends:
        batch = await intended(lease)
    return [send.seq for send in batch.sends] if batch else []


async def record(lease: Lease, *results: Result) -> None:
    """What came of some."""
    async with transaction() as session:
        await chunks.record(session, lease, results)


def failed(seq: int, code: str = "DEVICE_GONE") -> Result:
    """A recipient that a channel refused."""
    return Result(seq, RecipientStatus.FAILED, code)
