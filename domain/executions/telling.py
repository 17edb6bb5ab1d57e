"""Who watches is told that something has moved; what, they read themselves."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.broker import wake
from core.database import on_commit
from domain.ticks import tick
from models.executions import WorkflowExecution

RUNNER = "run_steps"


def execution_topic(execution_id: UUID) -> str:
    """Where those listen who watch one execution."""
    return f"execution:{execution_id}"


def workflow_topic(workflow_id: UUID) -> str:
    """Where those listen who watch the counts of a workflow."""
    return f"workflow:{workflow_id}"


def told(session: AsyncSession, execution: WorkflowExecution) -> None:
    """Call those who watch, after the commit."""
    tick(session, execution_topic(execution.id))
    tick(session, workflow_topic(execution.workflow_id))


def wake_runner(session: AsyncSession) -> None:
    """Have the steps that are due done once this transaction has committed."""
    if not session.info.get(RUNNER):
        session.info[RUNNER] = True
        on_commit(session, lambda: wake(RUNNER))
