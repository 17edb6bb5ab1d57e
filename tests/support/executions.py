"""Workflows at work in the test's own process: what a worker does, one thing after the other, while time is moved."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from core.clock import now
from core.database import transaction
from domain import events
from domain.events import EventFields
from domain.executions import claiming, signals
from domain.executions.advancing import Claim
from domain.executions.claiming import waiting
from domain.workflows import drafts, versions
from jobs import workflows as jobs
from models.events import Event
from models.executions import WorkflowExecution, WorkflowStep
from models.workflow_signals import WorkflowSignal
from models.workflows import Workflow
from tests.support import factories
from tests.support.factories import Team


async def active(team: Team, definition: dict[str, Any], name: str = "Winback") -> Workflow:
    """A workflow that lets contacts in."""
    asker = factories.principal(team)
    async with transaction() as session:
        row = await drafts.create(session, asker, {"name": name, "definition": definition})
        await versions.activate(session, asker, row.id)
    return row


async def pause(team: Team, workflow: Workflow) -> None:
    async with transaction() as session:
        await versions.pause(session, factories.principal(team), workflow.id)


async def resume(team: Team, workflow: Workflow) -> None:
    async with transaction() as session:
        await versions.activate(session, factories.principal(team), workflow.id)


async def track(team: Team, contact_id: UUID, name: str, **properties: Any) -> Event:
    """An event of a contact, told by the app's server; nobody has looked at it yet."""
    told = EventFields(
        contact_id=contact_id, user_id=None, name=name, properties=properties, occurred_at=None, key=None
    )
    async with transaction() as session:
        return await events.track(session, factories.principal(team), told)


async def work() -> None:
    """All that is to be done now: signals, and the steps that are due."""
    async with transaction() as session:
        more = await signals.waiting(session) or await waiting(session)
    while more:
        await jobs.take_all()
        await jobs.run_due()
        async with transaction() as session:
            more = await signals.waiting(session) or await waiting(session)


async def take_up(workflow: Workflow) -> Claim:
    """The only step of a workflow that is due, taken up; what other tests have left is taken up with it, and lost."""
    async with transaction() as session:
        claims = {one.step_id: one for one in await claiming.claim(session, 1_000)}
        (mine,) = await session.scalars(
            sa.select(WorkflowStep.id).where(WorkflowStep.workflow_id == workflow.id, WorkflowStep.id.in_(claims))
        )
    return claims[mine]


async def happens(team: Team, contact_id: UUID, name: str, **properties: Any) -> None:
    """An event, and all that comes of it now."""
    await track(team, contact_id, name, **properties)
    await work()


async def executions(workflow: Workflow) -> list[WorkflowExecution]:
    """Those of a workflow, the oldest first."""
    async with transaction() as session:
        own = sa.select(WorkflowExecution).where(WorkflowExecution.workflow_id == workflow.id)
        return list(await session.scalars(own.order_by(WorkflowExecution.id)))


async def execution(workflow: Workflow) -> WorkflowExecution:
    """The only one."""
    (one,) = await executions(workflow)
    return one


async def steps(workflow: Workflow) -> list[tuple[str, str]]:
    """The node and the status of all steps, in the order in which they were reached."""
    return [(one.node_id, one.status.value) for one in await step_rows(workflow)]


async def step_rows(workflow: Workflow) -> list[WorkflowStep]:
    async with transaction() as session:
        own = sa.select(WorkflowStep).where(WorkflowStep.workflow_id == workflow.id)
        return list(await session.scalars(own.order_by(WorkflowStep.created_at, WorkflowStep.id)))


async def signals_left(team: Team) -> int:
    async with transaction() as session:
        own = sa.select(sa.func.count()).select_from(WorkflowSignal).where(WorkflowSignal.app_id == team.app_id)
        return await session.scalar(own) or 0


async def due_in_the_past() -> None:
    """Leases of workers that are gone have run out."""
    async with transaction() as session:
        own = sa.update(WorkflowStep).where(WorkflowStep.status == "RUNNING", WorkflowStep.ended_at.is_(None))
        await session.execute(own.values(due_at=now()))
