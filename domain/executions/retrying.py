"""A failed execution goes on from the step that has failed, as if it had never ended: its counts are taken back too."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.errors import Conflict
from domain import facts
from domain.executions import acting, plans, tallies
from domain.executions.answers import RESULTS
from domain.executions.ending import WHILE_OPEN
from domain.executions.plans import Plan
from domain.executions.telling import told, wake_runner
from domain.lookups import own
from domain.principals import Principal
from domain.workflows.definition import Reentry
from domain.workflows.nodes.acts import Awaited
from domain.workflows.nodes.wait_for_event import RECEIVED, TIMEOUT, WaitForEvent
from models.broadcasts import RecipientStatus
from models.contacts import Contact
from models.executions import ExecutionStatus, StepStatus, WorkflowExecution, WorkflowStep, WorkflowWait
from models.facts import FactKind
from models.workflows import Workflow


async def retry(session: AsyncSession, principal: Principal, execution_id: UUID) -> WorkflowExecution:
    """Let a FAILED execution run again: the failed step acts anew now, and what else was open is open again.

    Waits end when they would have ended. What a message has reached already it is not sent to again.

    Raises:
        NotFound: no such execution in this app.
        Conflict: it has not failed, the contact has been erased, is in by another execution or has reached the goal,
            or all of the workflow are being cancelled.
    """
    asked = await own(session, WorkflowExecution, principal.app_id, execution_id, "execution")
    contact = await _contact(session, asked)
    execution = await own(session, WorkflowExecution, principal.app_id, execution_id, "execution", lock=True)
    await session.refresh(execution)
    plan = await plans.of(session, execution.workflow_version_id)
    await _refuse(session, execution, plan)
    steps = await _steps(session, execution)
    _open(execution, steps, plan)
    await session.flush()
    for step in steps:
        await _revive(session, execution, step, contact, plan)
    await tallies.add(session, [tallies.move(execution, tallies.WHOLE, {"failed": -1})])
    before, after = ExecutionStatus.FAILED.value, ExecutionStatus.RUNNING.value
    change = ({"status": before}, {"status": after})
    facts.record(session, principal.author, FactKind.WORKFLOW_EXECUTION_RETRIED, execution, change=change)
    told(session, execution)
    wake_runner(session)
    await session.flush()
    return execution


async def _contact(session: AsyncSession, execution: WorkflowExecution) -> Contact:
    """Whom it is for, locked: nobody lets them in, and no event of theirs comes meanwhile."""
    this = sa.select(Contact).where(Contact.app_id == execution.app_id, Contact.id == execution.contact_id)
    contact: Contact | None = await session.scalar(this.with_for_update())
    if contact is None:
        raise Conflict("The contact of this execution has been erased.", field="id")
    return contact


async def _refuse(session: AsyncSession, execution: WorkflowExecution, plan: Plan) -> None:
    if execution.status is not ExecutionStatus.FAILED:
        raise Conflict(f"An execution that is {execution.status} cannot be retried; only a FAILED one can.", field="id")
    if execution.converted_at is not None:
        raise Conflict("The contact has reached the goal since it failed.", field="id")
    until = await session.scalar(sa.select(Workflow.cancelled_until).where(Workflow.id == execution.workflow_id))
    if until is not None and execution.created_at <= until:
        raise Conflict("All executions of this workflow are being cancelled; try again in a moment.", field="id")
    if plan.reentry is not Reentry.ALWAYS and await _is_in(session, execution):
        raise Conflict("The contact is in this workflow by another execution.", field="id")


async def _is_in(session: AsyncSession, execution: WorkflowExecution) -> bool:
    """Whether its contact is in by another execution, of whichever version."""
    others = sa.select(sa.literal(1)).where(
        WorkflowExecution.app_id == execution.app_id,
        WorkflowExecution.workflow_id == execution.workflow_id,
        WorkflowExecution.contact_id == execution.contact_id,
        WorkflowExecution.id != execution.id,
        WorkflowExecution.status == ExecutionStatus.RUNNING,
    )
    return bool(await session.scalar(sa.select(others.exists())))


async def _steps(session: AsyncSession, execution: WorkflowExecution) -> Sequence[WorkflowStep]:
    """The failed one, and those that ended with it."""
    ended = sa.select(WorkflowStep).where(
        WorkflowStep.app_id == execution.app_id,
        WorkflowStep.execution_id == execution.id,
        WorkflowStep.status.in_([StepStatus.FAILED, StepStatus.SKIPPED]),
    )
    return (await session.scalars(ended.order_by(WorkflowStep.id).with_for_update(key_share=True))).all()


def _open(execution: WorkflowExecution, steps: Sequence[WorkflowStep], plan: Plan) -> None:
    execution.status, execution.reason, execution.ended_at = ExecutionStatus.RUNNING, None, None
    execution.open_steps = len(steps)
    execution.error_node_id = execution.error_code = execution.error_message = None
    if plan.reentry is Reentry.AFTER_END:
        execution.entry_key = f"{WHILE_OPEN}{execution.contact_id}"


async def _revive(
    session: AsyncSession, execution: WorkflowExecution, step: WorkflowStep, contact: Contact, plan: Plan
) -> None:
    """A step that waited waits again until the same instant; any other acts now."""
    left = "failed" if step.status is StepStatus.FAILED else "exited"
    await tallies.add(session, [tallies.move(execution, step.node_id, {left: -1})])
    if step.status is StepStatus.FAILED:
        step.failures, step.attempts, step.goes_by = 0, 0, None
        step.error_code = step.error_message = None
        step.output = _reached(step)
    step.ended_at, step.held, step.fence = None, False, step.fence + 1
    if step.goes_by is None:
        step.status, step.due_at = StepStatus.PENDING, now()
        return
    step.status = StepStatus.WAITING
    config = plan.configs[step.node_id]
    if isinstance(config, WaitForEvent) and step.goes_by == TIMEOUT:
        await _await(session, execution, step, contact, plan, config)


def _reached(step: WorkflowStep) -> dict[str, object] | None:
    """What is kept of a failed step: the targets of a message that need no other try."""
    failed = RecipientStatus.FAILED.value
    results = (step.output or {}).get(RESULTS, {})
    kept = {target: status for target, status in results.items() if status != failed}
    return {RESULTS: kept} if kept else None


async def _await(
    session: AsyncSession,
    execution: WorkflowExecution,
    step: WorkflowStep,
    contact: Contact,
    plan: Plan,
    config: WaitForEvent,
) -> None:
    """Wait for the event again; one that was told while nobody waited counts."""
    awaited = Awaited(config.event_name, config.properties or ())
    scene = await acting.scene(session, execution, step, contact, plan, now())
    if (found := await scene.happened(awaited)) is not None:
        step.goes_by, step.due_at, step.output = RECEIVED, now(), found
        return
    session.add(
        WorkflowWait(
            app_id=execution.app_id,
            contact_id=contact.id,
            execution_id=execution.id,
            step_id=step.id,
            event_name=config.event_name,
            expires_at=step.due_at,
        )
    )
