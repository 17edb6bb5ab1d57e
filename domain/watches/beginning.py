"""When a segment is watched, and when it is not any more."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from models.segment_watches import SegmentWatch, WatchStatus
from models.workflows import TriggerKind, WorkflowTrigger


async def begin(session: AsyncSession, app_id: UUID, segment_id: UUID) -> None:
    """Watch a segment. Nobody enters it before it is known who is in it; one that is watched already goes on."""
    at = now()
    anew = {"status": WatchStatus.BASELINE, "after_contact_id": None, "begun_at": at, "due_at": at}
    put = insert(SegmentWatch).values(segment_id=segment_id, app_id=app_id, **anew)
    await session.execute(
        put.on_conflict_do_update(
            index_elements=["segment_id"], set_=anew, where=SegmentWatch.status == WatchStatus.FORGETTING
        )
    )


async def leave(session: AsyncSession, app_id: UUID, segment_id: UUID) -> None:
    """Forget who is in a segment, unless an ACTIVE workflow waits for it still. The clock does it, by and by."""
    watched = sa.update(SegmentWatch).where(SegmentWatch.app_id == app_id, SegmentWatch.segment_id == segment_id)
    left = watched.where(sa.not_(is_awaited())).values(status=WatchStatus.FORGETTING, due_at=now())
    await session.execute(left.execution_options(synchronize_session=False))


def is_awaited() -> sa.Exists:
    """Whether an ACTIVE workflow waits for a watched segment."""
    waiting = sa.select(WorkflowTrigger.id).where(
        WorkflowTrigger.app_id == SegmentWatch.app_id,
        WorkflowTrigger.kind == TriggerKind.SEGMENT_ENTERED,
        WorkflowTrigger.key == sa.cast(SegmentWatch.segment_id, sa.Text),
        WorkflowTrigger.active,
    )
    return waiting.exists()
