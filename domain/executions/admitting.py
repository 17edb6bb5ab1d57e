"""Who comes into a workflow: once by the same thing, and as often as the workflow lets them come again."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.ids import new_id
from domain.executions import advancing, tallies
from domain.executions.ending import WHILE_OPEN
from domain.executions.plans import Plan
from domain.executions.telling import told
from domain.workflows.definition import Reentry
from domain.workflows.goals import Goal
from models.executions import ExecutionStatus, WorkflowExecution, WorkflowWait
from models.workflows import WorkflowVersion

FOR_EVER = "once:"
LINEAGE_MOST = 8


@dataclass(frozen=True)
class Entry:
    """Who is to come in, and why.

    Attributes:
        key: what lets them in, such as `event:<id>`.
        context: what it brings for variables.
        lineage: the workflows whose steps led to it.
    """

    contact_id: UUID
    key: str
    context: dict[str, Any] = field(default_factory=dict)
    lineage: tuple[UUID, ...] = ()


async def admit(session: AsyncSession, version: WorkflowVersion, plan: Plan, entry: Entry) -> WorkflowExecution | None:
    """Let a contact in, whose row the transaction has locked for itself; None when they may not come in.

    Nobody comes in by the work of the workflow itself, however many others lie between.
    """
    if version.workflow_id in entry.lineage or len(entry.lineage) > LINEAGE_MOST:
        return None
    if await _is_kept_out(session, version, plan.reentry, entry.contact_id):
        return None
    execution = await _inserted(session, version, plan, entry)
    if execution is None:
        return None
    session.add(advancing.first_step(execution, plan))
    if plan.goal:
        session.add(_goal(execution, plan.goal))
    entered = {"entered": 1}
    counted = [tallies.move(execution, tallies.WHOLE, entered), tallies.move(execution, plan.entry, entered)]
    await session.flush()
    await tallies.add(session, counted)
    told(session, execution)
    return execution


async def _is_kept_out(session: AsyncSession, version: WorkflowVersion, reentry: Reentry, contact_id: UUID) -> bool:
    """Whether the contact has been in, or is in, also by a version that had another rule."""
    if reentry is Reentry.ALWAYS:
        return False
    theirs = sa.select(sa.literal(1)).where(
        WorkflowExecution.app_id == version.app_id,
        WorkflowExecution.workflow_id == version.workflow_id,
        WorkflowExecution.contact_id == contact_id,
    )
    if reentry is Reentry.AFTER_END:
        theirs = theirs.where(WorkflowExecution.status == ExecutionStatus.RUNNING)
    return bool(await session.scalar(sa.select(theirs.exists())))


async def _inserted(
    session: AsyncSession, version: WorkflowVersion, plan: Plan, entry: Entry
) -> WorkflowExecution | None:
    """The new row; None when one with the same key is there, whoever has made it at the same time."""
    row = {
        "id": new_id(),
        "created_at": now(),
        "app_id": version.app_id,
        "workflow_id": version.workflow_id,
        "workflow_version_id": version.id,
        "contact_id": entry.contact_id,
        "trigger_key": entry.key,
        "entry_key": _entry_key(plan.reentry, entry.contact_id),
        "status": ExecutionStatus.RUNNING,
        "context": entry.context,
        "lineage": list(entry.lineage),
        "open_steps": 1,
    }
    put = insert(WorkflowExecution).values(row).on_conflict_do_nothing().returning(WorkflowExecution)
    found: WorkflowExecution | None = await session.scalar(put)
    return found


def _entry_key(reentry: Reentry, contact_id: UUID) -> str | None:
    match reentry:
        case Reentry.ONCE:
            return f"{FOR_EVER}{contact_id}"
        case Reentry.AFTER_END:
            return f"{WHILE_OPEN}{contact_id}"
        case Reentry.ALWAYS:
            return None


def _goal(execution: WorkflowExecution, goal: Goal) -> WorkflowWait:
    return WorkflowWait(
        app_id=execution.app_id,
        contact_id=execution.contact_id,
        execution_id=execution.id,
        event_name=goal.event_name,
        expires_at=execution.created_at + goal.within.delta if goal.within else None,
    )
