"""When a workflow that goes by the clock lets its contacts in the next time: a row while it is ACTIVE."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain import timing
from domain.workflows.triggers import Scheduled
from models.workflow_enrolments import WorkflowSchedule
from models.workflows import Workflow


def next_time(trigger: Scheduled, after: datetime) -> datetime:
    """The first time after an instant. Those that were missed are not made up."""
    return timing.next_cron(trigger.cron, trigger.time_zone, after)


async def keep(session: AsyncSession, row: Workflow, version_id: UUID, trigger: Scheduled) -> None:
    """Have a workflow let its contacts in by the clock. A time that has just come and is not served yet is kept."""
    at = now()
    values = {"workflow_version_id": version_id, "next_at": next_time(trigger, at)}
    put = insert(WorkflowSchedule).values(workflow_id=row.id, app_id=row.app_id, **values)
    kept = sa.case((WorkflowSchedule.next_at <= at, WorkflowSchedule.next_at), else_=put.excluded.next_at)
    await session.execute(put.on_conflict_do_update(index_elements=["workflow_id"], set_=values | {"next_at": kept}))


async def drop(session: AsyncSession, row: Workflow) -> None:
    """Have it let nobody in by the clock."""
    own = sa.delete(WorkflowSchedule).where(
        WorkflowSchedule.app_id == row.app_id, WorkflowSchedule.workflow_id == row.id
    )
    await session.execute(own.execution_options(synchronize_session=False))
