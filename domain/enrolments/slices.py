"""One slice of an enrolment: some contacts in the order of their ids, in one transaction with how far it has come."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain.enrolments.control import end
from domain.executions import admitting, plans
from domain.executions.admitting import Entry
from domain.executions.plans import Plan
from domain.segments import compiling, conditions
from models.contacts import Contact
from models.executions import WorkflowStep
from models.workflow_enrolments import EnrolmentAudience, EnrolmentStatus, WorkflowEnrolment
from models.workflows import Workflow, WorkflowStatus, WorkflowVersion

SLICE = 500
STEPS_MOST = 1_000
"""While so many steps of the workflow are due nobody else is let in."""
SOON, LATER = timedelta(seconds=1), timedelta(seconds=5)


async def waiting(session: AsyncSession) -> bool:
    """Whether any slice is due."""
    return bool(await session.scalar(sa.select(_due().exists())))


def _due() -> sa.Select[WorkflowEnrolment]:
    return sa.select(WorkflowEnrolment).where(WorkflowEnrolment.due_at.is_not(None), WorkflowEnrolment.due_at <= now())


async def next_(session: AsyncSession) -> WorkflowEnrolment | None:
    """The enrolment that has waited longest, locked; None when there is none that nobody else has."""
    oldest = _due().order_by(WorkflowEnrolment.due_at).limit(1)
    found: WorkflowEnrolment | None = await session.scalar(oldest.with_for_update(skip_locked=True, key_share=True))
    return found


async def put_off(session: AsyncSession, enrolment_id: UUID) -> None:
    """Its slice has failed: try again in a while."""
    row = await session.get(WorkflowEnrolment, enrolment_id, with_for_update=True)
    if row is not None and row.due_at is not None:
        row.due_at = now() + LATER


async def go_on(session: AsyncSession, row: WorkflowEnrolment) -> int:
    """Let a slice of a locked enrolment in, unless its workflow has enough to do; returns how many came in."""
    status = await session.scalar(sa.select(Workflow.status).where(Workflow.id == row.workflow_id))
    if status is WorkflowStatus.ARCHIVED:
        end(row, EnrolmentStatus.CANCELLED)
        return 0
    if status is not WorkflowStatus.ACTIVE:
        row.due_at = now() + LATER
        return 0
    if await _is_busy(session, row.workflow_id):
        row.due_at = now() + SOON
        return 0
    return await _admit(session, row)


async def _is_busy(session: AsyncSession, workflow_id: UUID) -> bool:
    due = sa.select(WorkflowStep.id).where(
        WorkflowStep.workflow_id == workflow_id, WorkflowStep.ended_at.is_(None), WorkflowStep.due_at <= now()
    )
    count = sa.select(sa.func.count()).select_from(due.limit(STEPS_MOST).subquery())
    return (await session.scalar(count) or 0) >= STEPS_MOST


async def _admit(session: AsyncSession, row: WorkflowEnrolment) -> int:
    version = await session.get_one(WorkflowVersion, row.workflow_version_id)
    plan = plans.plan_of(version)
    if row.conditions is not None or plan.trigger.conditions is not None:
        await compiling.plan_by_values(session)
    chosen = await _next_contacts(session, row)
    held = await _hold(session, chosen)
    fitting = await _fitting(session, row, plan, held)
    admitted = await admitting.admit_all(session, version, plan, [Entry(id_, f"{row.key}:{id_}") for id_ in fitting])
    row.entered += len(admitted)
    row.kept_out += len(held) - len(admitted)
    if held:
        row.after_contact_id = held[-1]
    row.due_at = now() if held else now() + SOON
    if len(chosen) < SLICE and len(held) == len(chosen):
        end(row, EnrolmentStatus.COMPLETED)
    return len(admitted)


async def _next_contacts(session: AsyncSession, row: WorkflowEnrolment) -> Sequence[UUID]:
    """The next ones of the audience."""
    rows = sa.select(Contact.id).where(Contact.app_id == row.app_id)
    if row.after_contact_id is not None:
        rows = rows.where(Contact.id > row.after_contact_id)
    if row.audience is EnrolmentAudience.CONTACTS:
        rows = rows.where(_one_of(row.contact_ids))
    if row.conditions is not None:
        rows = rows.where(compiling.where(conditions.parse(row.conditions), row.app_id, row.created_at))
    return (await session.scalars(rows.order_by(Contact.id).limit(SLICE))).all()


def _one_of(ids: Sequence[UUID]) -> sa.ColumnElement[bool]:
    return Contact.id == sa.any_(sa.literal(list(ids), sa.ARRAY(sa.UUID)))


async def _hold(session: AsyncSession, ids: Sequence[UUID]) -> Sequence[UUID]:
    """Lock contacts, as `admitting` asks; returns those that the slice goes on with.

    Whoever holds one may want another, so nobody is waited for: the slice ends before the first who is not free, and
    begins with them the next time.
    """
    if not ids:
        return ids
    rows = sa.select(Contact.id).where(_one_of(ids)).order_by(Contact.id)
    free = set(await session.scalars(rows.with_for_update(skip_locked=True)))
    return ids[: next((no for no, id_ in enumerate(ids) if id_ not in free), len(ids))]


async def _fitting(session: AsyncSession, row: WorkflowEnrolment, plan: Plan, ids: Sequence[UUID]) -> Sequence[UUID]:
    """Those whom the trigger is for."""
    if plan.trigger.conditions is None or not ids:
        return ids
    fits = compiling.where(plan.trigger.conditions, row.app_id, now())
    return (await session.scalars(sa.select(Contact.id).where(fits, _one_of(ids)).order_by(Contact.id))).all()
