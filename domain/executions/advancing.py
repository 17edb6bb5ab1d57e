"""Steps end and others begin: a step, its successors and the counts in one transaction, while the execution is locked.

A worker writes only while its fence is the newest: who was thought dead and comes back writes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.config import config
from core.ids import new_id
from domain import facts
from domain.executions import tallies
from domain.executions.ending import end
from domain.executions.plans import Plan
from domain.executions.telling import told
from domain.principals import Author
from domain.workflows.nodes.acts import Again, Done, Ends, Fails, Json, Result, Waits
from models.executions import (
    EndReason,
    ExecutionStatus,
    StepStatus,
    WorkflowExecution,
    WorkflowStep,
    WorkflowWait,
)
from models.facts import FactKind

FAILED_WAY = "failed"
MESSAGE_MOST = 500


@dataclass(frozen=True)
class Claim:
    """A step that a worker has in hand."""

    step_id: UUID
    fence: int


def lease() -> datetime:
    """Until when a worker that takes up a step now has it."""
    return now() + timedelta(seconds=config().lease_seconds)


def first_step(execution: WorkflowExecution, plan: Plan) -> WorkflowStep:
    """The step that an execution begins with."""
    return WorkflowStep(**_row(execution, plan, plan.entry))


def _row(execution: WorkflowExecution, plan: Plan, node_id: str) -> dict[str, Any]:
    at = now()
    return {
        "id": new_id(),
        "created_at": at,
        "app_id": execution.app_id,
        "workflow_id": execution.workflow_id,
        "workflow_version_id": execution.workflow_version_id,
        "execution_id": execution.id,
        "node_id": node_id,
        "kind": plan.kinds[node_id],
        "status": StepStatus.PENDING,
        "due_at": at,
        "held": False,
        "attempts": 0,
        "failures": 0,
        "fence": 0,
    }


async def settle(
    session: AsyncSession, execution: WorkflowExecution, step: WorkflowStep, plan: Plan, result: Result
) -> Claim | None:
    """Write what has come of a step that this worker has; returns the step that it goes on with, if there is one."""
    told(session, execution)
    match result:
        case Done(way, output):
            return await _go_on(session, execution, step, plan, way, output)
        case Waits():
            await _wait(session, execution, step, result)
        case Again(at, output):
            step.output = {**(step.output or {}), **output}
            _put_off(step, at)
        case Ends(output):
            await _close(session, execution, step, StepStatus.COMPLETED, output, {"passed": 1})
            await end(session, execution, ExecutionStatus.EXITED, EndReason.NODE)
        case Fails():
            return await _fail(session, execution, step, plan, result)
        case _:
            raise TypeError(f"{type(result).__name__} is to be called, not settled")
    return None


async def _go_on(
    session: AsyncSession, execution: WorkflowExecution, step: WorkflowStep, plan: Plan, way: str, output: Json
) -> Claim | None:
    """End a step and begin those that its way leads to; the first of them stays with this worker."""
    step.branch = way
    if way != FAILED_WAY:
        step.error_code = step.error_message = None
    seconds = (now() - step.created_at).total_seconds()
    await _close(session, execution, step, StepStatus.COMPLETED, output, {"passed": 1, "seconds": seconds})
    mine = await _begin(session, execution, plan, plan.after(step.node_id, way))
    execution.open_steps -= 1  # last, so that one step after another leaves the row of the execution as it is
    if execution.open_steps == 0:
        await end(session, execution, ExecutionStatus.COMPLETED)
    return mine


async def _begin(
    session: AsyncSession, execution: WorkflowExecution, plan: Plan, node_ids: Sequence[str]
) -> Claim | None:
    """Begin some nodes; those that have been reached before are not begun again."""
    if not node_ids:
        return None
    rows = [_row(execution, plan, node_id) for node_id in node_ids]
    rows[0] |= {"status": StepStatus.RUNNING, "due_at": lease(), "fence": 1, "attempts": 1, "started_at": now()}
    put = insert(WorkflowStep).on_conflict_do_nothing(index_elements=["execution_id", "node_id"])
    new = [await session.scalar(put.values(row).returning(WorkflowStep.id)) for row in rows]
    begun = [row for row, id_ in zip(rows, new, strict=True) if id_]
    execution.open_steps += len(begun)
    await tallies.add(session, [tallies.move(execution, row["node_id"], {"entered": 1}) for row in begun])
    return Claim(rows[0]["id"], 1) if new[0] else None


async def _close(
    session: AsyncSession,
    execution: WorkflowExecution,
    step: WorkflowStep,
    status: StepStatus,
    output: Json,
    counts: Mapping[str, float],
) -> None:
    step.status, step.ended_at, step.output, step.called_at = status, now(), {**(step.output or {}), **output}, None
    await tallies.add(session, [tallies.move(execution, step.node_id, counts)])
    await session.flush()


async def _wait(session: AsyncSession, execution: WorkflowExecution, step: WorkflowStep, wait: Waits) -> None:
    """Nothing keeps a wait but its row."""
    step.status, step.due_at, step.goes_by, step.output = StepStatus.WAITING, wait.until, wait.way, dict(wait.output)
    await session.flush()
    if wait.event:
        session.add(
            WorkflowWait(
                app_id=execution.app_id,
                contact_id=execution.contact_id,
                execution_id=execution.id,
                step_id=step.id,
                event_name=wait.event.event_name,
                expires_at=wait.until,
            )
        )


def _put_off(step: WorkflowStep, at: datetime) -> None:
    step.status, step.due_at, step.called_at = StepStatus.PENDING, at, None


async def _fail(
    session: AsyncSession, execution: WorkflowExecution, step: WorkflowStep, plan: Plan, failure: Fails
) -> Claim | None:
    """Try again later; or go on by the way of failures; or else the execution has failed."""
    step.error_code, step.error_message = failure.code, failure.message[:MESSAGE_MOST]
    step.failures += 1
    if failure.retry_at:
        step.output = dict(failure.output)
        _put_off(step, failure.retry_at)
        return None
    if plan.has(step.node_id, FAILED_WAY):
        return await _go_on(session, execution, step, plan, FAILED_WAY, failure.output)
    await _close(session, execution, step, StepStatus.FAILED, failure.output, {"failed": 1})
    execution.error_node_id, execution.error_code = step.node_id, failure.code
    execution.error_message = step.error_message
    _record_failure(session, execution)
    await end(session, execution, ExecutionStatus.FAILED)
    return None


def _record_failure(session: AsyncSession, execution: WorkflowExecution) -> None:
    """That it failed is a fact, for those who want to hear of it; what the error says is nobody else's."""
    author = Author(f"workflow:{execution.workflow_id}")
    node_id, code = execution.error_node_id, execution.error_code
    after = {"status": ExecutionStatus.FAILED.value, "error_node_id": node_id, "error_code": code}
    change = ({"status": ExecutionStatus.RUNNING.value}, after)
    workflow_id, kind = str(execution.workflow_id), FactKind.WORKFLOW_EXECUTION_FAILED
    facts.record(
        session, author, kind, execution, change=change, workflow_id=workflow_id, node_id=node_id, error_code=code
    )


async def owned(session: AsyncSession, claim: Claim) -> tuple[WorkflowExecution, WorkflowStep] | None:
    """The step of a claim and its execution, locked; None when somebody else has it by now, or it has ended."""
    both = sa.select(WorkflowExecution, WorkflowStep).join(
        WorkflowStep, WorkflowStep.execution_id == WorkflowExecution.id
    )
    own = both.where(
        WorkflowStep.id == claim.step_id, WorkflowStep.fence == claim.fence, WorkflowStep.ended_at.is_(None)
    )
    found = (await session.execute(own.with_for_update(key_share=True))).first()
    return (found[0], found[1]) if found else None
