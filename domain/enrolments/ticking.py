"""Workflows that go by the clock: at each of their times an enrolment is made. Any number of clocks may do it."""

from datetime import timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from core.broker import wake
from core.clock import now
from core.database import on_commit
from domain.enrolments import control
from domain.executions import plans
from domain.workflows import schedules
from domain.workflows.triggers import Scheduled
from models.workflow_enrolments import WorkflowSchedule
from models.workflows import Workflow

log = structlog.get_logger(__name__)
AT_ONCE = 100
LATER = timedelta(minutes=5)


async def tick(session: AsyncSession) -> int:
    """Make the enrolments whose time has come; returns how many. After an outage each workflow has one, not many."""
    due = sa.select(WorkflowSchedule).where(WorkflowSchedule.next_at <= now()).order_by(WorkflowSchedule.next_at)
    rows = (await session.scalars(due.limit(AT_ONCE).with_for_update(skip_locked=True))).all()
    for row in rows:
        workflow_id = str(row.workflow_id)
        try:
            async with session.begin_nested():
                await _serve(session, row)
        except DBAPIError:
            raise
        except Exception:
            # a schedule that breaks keeps none of the others
            log.exception("schedule not served", workflow=workflow_id)
            row.next_at = now() + LATER
    if rows:
        on_commit(session, lambda: wake(control.ENROLLER))
    return len(rows)


async def _serve(session: AsyncSession, row: WorkflowSchedule) -> None:
    trigger = (await plans.of(session, row.workflow_version_id)).trigger
    workflow = await session.get_one(Workflow, row.workflow_id)
    if not isinstance(trigger, Scheduled):
        await session.delete(row)
        return
    await control.begin(session, workflow, row.workflow_version_id, trigger.segment_id, row.next_at)
    row.next_at = schedules.next_time(trigger, now())
