"""One step of one execution in one transaction: whether it still runs, what its node does, what follows.

Locks are taken in one order: the contact, the execution, the step; then what the node itself changes.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.errors import DomainError
from domain import workflow_signals
from domain.executions import acting, advancing, answers, messages, plans
from domain.executions.acting import Scene
from domain.executions.advancing import Claim
from domain.executions.answers import Answer, Call, Sending
from domain.executions.ending import end
from domain.executions.plans import Plan
from domain.templates import MISSING_VARIABLE, MissingValue
from domain.workflows.nodes.acts import Calls, Done, Fails, Message, Result, Waits
from domain.workflows.nodes.kind import NEXT
from domain.workflows.nodes.table import KINDS
from models.apps import App
from models.contacts import Contact
from models.executions import EndReason, ExecutionStatus, StepStatus, WorkflowExecution, WorkflowStep
from models.workflows import Workflow, WorkflowStatus

ATTEMPTS_MOST = 50
"""A step that workers have taken up so often, and never ended, is what ends them."""
FAILURES_MOST = 8
CRASHED, BROKEN = "CRASHED", "BROKEN"


_ABOUT = (
    sa.select(WorkflowStep.kind, WorkflowExecution.contact_id, Workflow.status, Workflow.cancelled_until, App)
    .join(WorkflowExecution, WorkflowExecution.id == WorkflowStep.execution_id)
    .join(Workflow, Workflow.id == WorkflowStep.workflow_id)
    .join(App, App.id == WorkflowStep.app_id)
)


@dataclass(frozen=True)
class Turn:
    """A step that is locked with its execution and its contact.

    Attributes:
        app: read with the step, so that nobody asks for it again.
        status: of the workflow just before; who pauses or cancels it at this moment does so after the step.
        cancelled_until: executions that began until then are to be cancelled.
    """

    execution: WorkflowExecution
    step: WorkflowStep
    contact: Contact | None
    plan: Plan
    app: App
    status: WorkflowStatus
    cancelled_until: datetime | None


class Next(NamedTuple):
    """What a worker does next: make a call for the step that it has, go on with another, or nothing."""

    call: Call | None = None
    claim: Claim | None = None


async def take(session: AsyncSession, claim: Claim) -> Next:
    """Do a step that this worker has.

    Args:
        session: a transaction of its own.
        claim: the step. When somebody else has it by now nothing happens.
    """
    turn = await _turn(session, claim)
    if turn is None or await _is_over(session, turn):
        return Next()
    if turn.step.goes_by is not None:
        done = Done(turn.step.goes_by, turn.step.output or {})
        return Next(claim=await advancing.settle(session, turn.execution, turn.step, turn.plan, done))
    result = await _result(session, turn)
    if isinstance(result, Calls | Sending):
        return Next(call=answers.begin(turn.step, result))
    return Next(claim=await advancing.settle(session, turn.execution, turn.step, turn.plan, result))


async def _turn(session: AsyncSession, claim: Claim) -> Turn | None:
    about = (await session.execute(_ABOUT.where(WorkflowStep.id == claim.step_id))).first()
    if about is None:
        return None
    contact = await _contact(session, about.contact_id, alone=KINDS[about.kind].locks_contact)
    owned = await advancing.owned(session, claim)
    if owned is None:
        return None
    execution, step = owned
    plan = await plans.of(session, execution.workflow_version_id)
    return Turn(execution, step, contact, plan, about.App, about.status, about.cancelled_until)


async def _contact(session: AsyncSession, contact_id: object, *, alone: bool) -> Contact | None:
    """The contact, who is not erased meanwhile; `alone`: nor changed, nor does an event of theirs come in."""
    if contact_id is None:
        return None
    rows = sa.select(Contact).where(Contact.id == contact_id)
    held = rows.with_for_update() if alone else rows.with_for_update(read=True, key_share=True)
    found: Contact | None = await session.scalar(held)
    return found


async def _is_over(session: AsyncSession, turn: Turn) -> bool:
    """Whether the execution goes no further now: it has ended, ends here, or its workflow is paused."""
    execution, contact = turn.execution, turn.contact
    if await _is_gone(session, turn) or contact is None:
        return True
    if turn.cancelled_until is not None and execution.created_at <= turn.cancelled_until:
        await end(session, execution, ExecutionStatus.CANCELLED, EndReason.OPERATOR)
        return True
    if turn.status is WorkflowStatus.PAUSED:
        turn.step.held, turn.step.due_at = True, now()
        turn.step.status = StepStatus.PENDING if turn.step.goes_by is None else StepStatus.WAITING
        return True
    return await _leaves(session, turn, contact)


async def _is_gone(session: AsyncSession, turn: Turn) -> bool:
    """Whether the execution has ended, or ends here as its contact was erased: nothing more is written of them."""
    if turn.execution.status is not ExecutionStatus.RUNNING:
        return True
    if turn.contact is None:
        await end(session, turn.execution, ExecutionStatus.CANCELLED, EndReason.CONTACT_ERASED)
    return turn.contact is None


async def _leaves(session: AsyncSession, turn: Turn, contact: Contact) -> bool:
    """Whether the contact has become one for whom the workflow is not."""
    if turn.plan.exit is None:
        return False
    scene = await acting.scene(session, turn.execution, turn.step, contact, turn.plan, now())
    if not await scene.holds(turn.plan.exit):
        return False
    await end(session, turn.execution, ExecutionStatus.EXITED, EndReason.CONDITION)
    return True


async def _result(session: AsyncSession, turn: Turn) -> Result | Sending:
    """What its node does. What a node that fails has changed is taken back."""
    step, contact = turn.step, turn.contact
    if step.attempts > ATTEMPTS_MOST:
        return Fails(CRASHED, f"It was begun {ATTEMPTS_MOST} times and has never ended.")
    assert contact is not None  # noqa: S101  `_is_over` has ended the execution of whom there is not
    scene = await acting.scene(session, turn.execution, step, contact, turn.plan, now())
    workflow_signals.caused_by(session, [*turn.execution.lineage, turn.execution.workflow_id])
    try:
        return await _act(scene, turn.plan)
    except MissingValue as missing:
        return Fails(MISSING_VARIABLE, str(missing))
    except DomainError as error:
        return Fails(error.code, error.message)


async def _act(scene: Scene, plan: Plan) -> Result | Sending:
    kind, config = KINDS[scene.step.kind], plan.configs[scene.step.node_id]
    if kind.acts is None:
        outcome = await kind.tried(config, scene)
        way, output = outcome.branch or NEXT, dict(outcome.output)
        return Waits(outcome.at, way, output) if outcome.at > scene.at else Done(way, output)
    async with scene.session.begin_nested():
        result: Result = await kind.acts(config, scene)
        if isinstance(result, Calls) and isinstance(result.call, Message):
            return await messages.prepare(scene, result.call)
        return result


async def answered(session: AsyncSession, claim: Claim, call: Call, answer: Answer) -> Next:
    """Write what has come of a call; nothing when somebody else has the step by now."""
    turn = await _turn(session, claim)
    if turn is None or await _is_gone(session, turn):
        return Next()
    result = answers.result(turn.step, call, answer)
    if isinstance(call, Sending) and isinstance(result, Fails) and result.retry_at is None:
        await messages.release(session, turn.step)
    return Next(claim=await advancing.settle(session, turn.execution, turn.step, turn.plan, result))


async def broke(session: AsyncSession, claim: Claim, error: Exception) -> None:
    """A step has raised what nobody expected: it is tried again a few times, then it has failed."""
    turn = await _turn(session, claim)
    if turn is None or await _is_gone(session, turn):
        return
    retry_at = now() + backoff(turn.step.failures) if turn.step.failures < FAILURES_MOST else None
    step, called_at = turn.step, turn.step.called_at
    failure = Fails(BROKEN, type(error).__name__, retry_at, step.output or {})
    await advancing.settle(session, turn.execution, step, turn.plan, failure)
    if retry_at:
        step.called_at = called_at  # a call that was made stays made, whatever broke after it


def backoff(failures: int) -> timedelta:
    """How long to wait after so many failures: a second, doubled each time, an hour at most."""
    return timedelta(seconds=min(2**failures, 3_600))
