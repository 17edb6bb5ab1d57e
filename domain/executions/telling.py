"""Who watches is told that something has moved; what, they read themselves."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.ticks import tick
from models.executions import WorkflowExecution


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
