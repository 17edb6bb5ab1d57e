"""What comes of an event for those who wait for it: steps go on, goals are reached."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain.executions import acting, plans, tallies
from domain.executions.ending import end
from domain.executions.plans import Plan
from domain.executions.telling import told
from domain.segments import evaluating
from domain.segments.conditions import Field
from domain.workflows.nodes.wait_for_event import RECEIVED, WaitForEvent
from models.events import Event
from models.executions import EndReason, ExecutionStatus, StepStatus, WorkflowExecution, WorkflowStep, WorkflowWait


async def arrive(session: AsyncSession, event: Event, at: datetime) -> None:
    """Serve all who wait for an event of a contact whose row the transaction has locked."""
    waits = sa.select(WorkflowWait).where(
        WorkflowWait.app_id == event.app_id,
        WorkflowWait.contact_id == event.contact_id,
        WorkflowWait.event_name == event.name,
        sa.or_(WorkflowWait.expires_at.is_(None), WorkflowWait.expires_at > at),
    )
    for wait in (await session.scalars(waits.order_by(WorkflowWait.id))).all():
        execution = await session.get_one(
            WorkflowExecution, wait.execution_id, with_for_update={"key_share": True}, populate_existing=True
        )
        plan = await plans.of(session, execution.workflow_version_id)
        if wait.step_id is None:
            await _reach_goal(session, execution, plan, wait, event)
        else:
            await _go_on(session, execution, plan, wait, event)


def _fits(properties: Sequence[Field] | None, event: Event) -> bool:
    return evaluating.fit(properties or (), event, now())


async def _reach_goal(
    session: AsyncSession, execution: WorkflowExecution, plan: Plan, wait: WorkflowWait, event: Event
) -> None:
    """The goal counts once, and ends what still runs."""
    if execution.status is ExecutionStatus.CANCELLED or plan.goal is None:
        return
    if event.created_at < execution.created_at or not _fits(plan.goal.properties, event):
        return
    await session.delete(wait)
    execution.converted_at = now()
    await tallies.add(session, [tallies.move(execution, tallies.WHOLE, {"converted": 1})])
    if execution.status is ExecutionStatus.RUNNING:
        await end(session, execution, ExecutionStatus.EXITED, EndReason.GOAL)
    told(session, execution)


async def _go_on(
    session: AsyncSession, execution: WorkflowExecution, plan: Plan, wait: WorkflowWait, event: Event
) -> None:
    """The step goes on by `received`, unless its time was up before: whoever has the row first decides."""
    step = await session.get_one(
        WorkflowStep, wait.step_id, with_for_update={"key_share": True}, populate_existing=True
    )
    config = plan.configs[step.node_id]
    if step.status is not StepStatus.WAITING or step.ended_at or execution.status is not ExecutionStatus.RUNNING:
        return
    is_early = event.created_at < step.created_at
    if is_early or not isinstance(config, WaitForEvent) or not _fits(config.properties, event):
        return
    await session.delete(wait)
    step.goes_by, step.due_at, step.output = RECEIVED, now(), acting.outputs_of(event)
    told(session, execution)
