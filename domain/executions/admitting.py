"""Who comes into a workflow: once by the same thing, and as often as the workflow lets them come again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.ids import new_id
from domain.bulk import ONE_STATEMENT
from domain.executions import advancing, tallies
from domain.executions.ending import WHILE_OPEN
from domain.executions.plans import Plan
from domain.executions.telling import workflow_topic
from domain.ticks import tick
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
    """Let a contact in, whose row the transaction has locked for itself; None when they may not come in."""
    admitted = await admit_all(session, version, plan, [entry])
    return admitted[0] if admitted else None


async def admit_all(
    session: AsyncSession, version: WorkflowVersion, plan: Plan, entries: Sequence[Entry]
) -> Sequence[WorkflowExecution]:
    """Let some contacts in, whose rows the transaction has locked for itself, by a few statements for all of them.

    Nobody comes in by the work of the workflow itself, however many others lie between. Returns the executions of
    those who may come in.
    """
    led = [one for one in entries if version.workflow_id not in one.lineage and len(one.lineage) <= LINEAGE_MOST]
    kept_out = await _kept_out(session, version, plan.reentry, [one.contact_id for one in led])
    executions = await _inserted(session, version, plan, [one for one in led if one.contact_id not in kept_out])
    if not executions:
        return ()
    session.add_all([advancing.first_step(one, plan) for one in executions])
    if plan.goal:
        session.add_all([_goal(one, plan.goal) for one in executions])
    first, entered = executions[0], {"entered": len(executions)}
    await session.flush()
    await tallies.add(session, [tallies.move(first, node_id, entered) for node_id in (tallies.WHOLE, plan.entry)])
    # nobody can watch an execution before it is there
    tick(session, workflow_topic(version.workflow_id))
    return executions


async def _kept_out(
    session: AsyncSession, version: WorkflowVersion, reentry: Reentry, contact_ids: Sequence[UUID]
) -> set[UUID | None]:
    """The contacts who have been in, or are in, also by a version that had another rule."""
    if reentry is Reentry.ALWAYS or not contact_ids:
        return set()
    theirs = sa.select(WorkflowExecution.contact_id).where(
        WorkflowExecution.app_id == version.app_id,
        WorkflowExecution.workflow_id == version.workflow_id,
        WorkflowExecution.contact_id == sa.any_(sa.literal(list(contact_ids), sa.ARRAY(sa.UUID))),
    )
    if reentry is Reentry.AFTER_END:
        theirs = theirs.where(WorkflowExecution.status == ExecutionStatus.RUNNING)
    return set(await session.scalars(theirs))


async def _inserted(
    session: AsyncSession, version: WorkflowVersion, plan: Plan, entries: Sequence[Entry]
) -> Sequence[WorkflowExecution]:
    """The new rows, without those of which one with the same key is there, whoever has made it at the same time."""
    if not entries:
        return ()
    put = insert(WorkflowExecution).on_conflict_do_nothing().returning(WorkflowExecution)
    rows = [_row(version, plan, one) for one in entries]
    return (await session.scalars(put, rows, execution_options=ONE_STATEMENT)).all()


def _row(version: WorkflowVersion, plan: Plan, entry: Entry) -> dict[str, Any]:
    return {
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
