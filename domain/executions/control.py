"""What operators do to executions that run: cancel one or all of a workflow, or go on with what waits now.

Locks are taken in the order of `stepping`. A call that is on its way is not awaited: what it answers comes to nothing.
"""

from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.broker import wake
from core.clock import now
from core.database import on_commit
from core.errors import Conflict
from domain import facts
from domain.executions.ending import end
from domain.executions.telling import told, wake_runner
from domain.lookups import own
from domain.principals import Principal
from domain.workflows import drafts
from models.executions import EndReason, ExecutionStatus, StepStatus, WorkflowExecution, WorkflowStep, WorkflowWait
from models.facts import FactKind
from models.workflows import Workflow

CANCELLER = "cancel_executions"
AT_ONCE = 100
SETTLES = timedelta(minutes=1)
"""How long it is looked for more after all were cancelled: what was let in before may be committed as late as that."""


async def cancel(session: AsyncSession, principal: Principal, execution_id: UUID) -> WorkflowExecution:
    """End an execution here and now; what it has done stays done. A call that is on its way is not taken back.

    Raises:
        NotFound: no such execution in this app.
        Conflict: it has ended.
    """
    execution = await running(session, principal, execution_id, "cancelled")
    await _cancel(session, execution)
    change = ({"status": ExecutionStatus.RUNNING.value}, {"status": ExecutionStatus.CANCELLED.value})
    facts.record(session, principal.author, FactKind.WORKFLOW_EXECUTION_CANCELLED, execution, change=change)
    await session.flush()
    return execution


async def _cancel(session: AsyncSession, execution: WorkflowExecution) -> None:
    await end(session, execution, ExecutionStatus.CANCELLED, EndReason.OPERATOR)


async def running(session: AsyncSession, principal: Principal, execution_id: UUID, what: str) -> WorkflowExecution:
    """An execution of the asker's app, locked.

    Raises:
        NotFound: no such execution in this app.
        Conflict: it does not run, so it cannot be what is asked.
    """
    execution = await own(session, WorkflowExecution, principal.app_id, execution_id, "execution", lock=True)
    if execution.status is not ExecutionStatus.RUNNING:
        raise Conflict(f"An execution that is {execution.status} cannot be {what}; only a RUNNING one can.", field="id")
    return execution


async def continue_now(session: AsyncSession, principal: Principal, execution_id: UUID) -> WorkflowExecution:
    """Have all waits of an execution end now, by the way they would end by themselves; of events: by `timeout`.

    Raises:
        NotFound: no such execution in this app.
        Conflict: it has ended, or waits for nothing.
    """
    execution, at = await running(session, principal, execution_id, "continued"), now()
    waiting = sa.and_(
        WorkflowStep.app_id == execution.app_id,
        WorkflowStep.execution_id == execution.id,
        WorkflowStep.status == StepStatus.WAITING,
        WorkflowStep.ended_at.is_(None),
    )
    moved = sa.update(WorkflowStep).where(waiting).values(due_at=sa.func.least(WorkflowStep.due_at, at))
    found = moved.returning(WorkflowStep.id, WorkflowStep.node_id).execution_options(synchronize_session=False)
    steps = (await session.execute(found)).all()
    if not steps:
        raise Conflict("Nothing of this execution waits.", field="id")
    ended = sa.update(WorkflowWait).where(WorkflowWait.step_id.in_([one.id for one in steps])).values(expires_at=at)
    await session.execute(ended.execution_options(synchronize_session=False))
    nodes = sorted(one.node_id for one in steps)
    change = (None, {"waits_ended_at_nodes": nodes})
    facts.record(session, principal.author, FactKind.WORKFLOW_EXECUTION_CONTINUED, execution, change=change)
    told(session, execution)
    wake_runner(session)
    await session.flush()
    return execution


async def cancel_all(session: AsyncSession, principal: Principal, workflow_id: UUID) -> Workflow:
    """Cancel all executions of a workflow that run now; those that come in later are let be.

    From the commit on none of them begins a step. A worker ends them, some at once; asking again does no harm.

    Raises:
        NotFound: no such workflow in this app.
    """
    row = await drafts.get(session, principal.app_id, workflow_id, lock=True, field="workflowId")
    row.cancelled_until = now()
    drafts.tell(session, principal, FactKind.WORKFLOW_EMPTIED, row)
    on_commit(session, lambda: wake(CANCELLER))
    await session.flush()
    return row


async def is_cancelling(session: AsyncSession) -> bool:
    """Whether any workflow has executions to cancel."""
    some = sa.select(sa.literal(1)).where(Workflow.cancelled_until.is_not(None))
    return bool(await session.scalar(sa.select(some.exists())))


async def cancel_some(session: AsyncSession) -> bool:
    """Cancel some of the executions that are to be; whether any was left to this worker.

    Any number of workers may do it. What somebody else has locked is left for the next time.
    """
    rows = sa.select(Workflow.id, Workflow.app_id, Workflow.cancelled_until)
    for id_, app_id, until in (await session.execute(rows.where(Workflow.cancelled_until.is_not(None)))).all():
        left = sa.select(WorkflowExecution).where(
            WorkflowExecution.app_id == app_id,
            WorkflowExecution.workflow_id == id_,
            WorkflowExecution.status == ExecutionStatus.RUNNING,
            WorkflowExecution.created_at <= until,
        )
        some = left.order_by(WorkflowExecution.id).limit(AT_ONCE).with_for_update(skip_locked=True, key_share=True)
        if found := (await session.scalars(some)).all():
            for execution in found:
                await _cancel(session, execution)
            return True
        if not await session.scalar(sa.select(left.exists())):
            await _finish(session, id_, until)
    return False


async def _finish(session: AsyncSession, workflow_id: UUID, until: object) -> None:
    """None is left; somebody may have asked again meanwhile. It is no change of the workflow."""
    settled = Workflow.cancelled_until < now() - SETTLES
    this = sa.update(Workflow).where(Workflow.id == workflow_id, Workflow.cancelled_until == until, settled)
    values = {"cancelled_until": None, "updated_at": Workflow.updated_at}
    await session.execute(this.values(values).execution_options(synchronize_session=False))
