"""How an execution ends. The only place that writes that it has."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain.executions import tallies
from domain.executions.telling import told
from models.executions import (
    EndReason,
    ExecutionStatus,
    StepStatus,
    WorkflowExecution,
    WorkflowStep,
    WorkflowWait,
)

WHILE_OPEN = "open:"
"""Begins the `entry_key` of an execution that keeps its contact out until it has ended."""
_COUNTS = {
    ExecutionStatus.COMPLETED: "passed",
    ExecutionStatus.EXITED: "exited",
    ExecutionStatus.FAILED: "failed",
    ExecutionStatus.CANCELLED: "cancelled",
}


async def end(
    session: AsyncSession, execution: WorkflowExecution, status: ExecutionStatus, reason: EndReason | None = None
) -> None:
    """End a locked execution that runs: what is open of it is skipped, and what its steps wait for is forgotten.

    The goal still counts when it is reached later, unless the execution is cancelled.
    """
    at = now()
    execution.status, execution.reason, execution.ended_at, execution.open_steps = status, reason, at, 0
    if (execution.entry_key or "").startswith(WHILE_OPEN):
        execution.entry_key = None
    is_cancelled = status is ExecutionStatus.CANCELLED
    skipped = await _skip(session, execution)
    left = "cancelled" if is_cancelled else "exited"
    moves = [tallies.move(execution, node_id, {left: 1}) for node_id in skipped]
    seconds = (at - execution.created_at).total_seconds() if status is ExecutionStatus.COMPLETED else 0.0
    await tallies.add(
        session, [tallies.move(execution, tallies.WHOLE, {_COUNTS[status]: 1, "seconds": seconds}), *moves]
    )
    await _forget_waits(session, execution, goal_too=is_cancelled)
    told(session, execution)


async def _skip(session: AsyncSession, execution: WorkflowExecution) -> Sequence[str]:
    """End the steps that are open; a worker that has one in hand writes nothing any more."""
    own = sa.update(WorkflowStep).where(
        WorkflowStep.app_id == execution.app_id,
        WorkflowStep.execution_id == execution.id,
        WorkflowStep.ended_at.is_(None),
    )
    values = {"status": StepStatus.SKIPPED, "ended_at": execution.ended_at, "fence": WorkflowStep.fence + 1}
    skipped = own.values(values).returning(WorkflowStep.node_id)
    return (await session.scalars(skipped.execution_options(synchronize_session=False))).all()


async def _forget_waits(session: AsyncSession, execution: WorkflowExecution, *, goal_too: bool) -> None:
    own = sa.delete(WorkflowWait).where(
        WorkflowWait.app_id == execution.app_id, WorkflowWait.execution_id == execution.id
    )
    some = own if goal_too else own.where(WorkflowWait.step_id.is_not(None))
    await session.execute(some.execution_options(synchronize_session=False))
