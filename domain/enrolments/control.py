"""Enrolments: begun, stopped, listed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.broker import wake
from core.clock import now
from core.database import on_commit
from core.errors import Conflict, Invalid
from core.ids import new_id
from domain import contacts, facts, idempotency
from domain.executions import plans
from domain.lookups import own
from domain.pages import Page, PageRequest, page
from domain.principals import Principal
from domain.segments import saved
from domain.workflows import drafts
from domain.workflows.triggers import Manual
from models.facts import FactKind
from models.segments import Segment
from models.workflow_enrolments import EnrolmentAudience, EnrolmentStatus, WorkflowEnrolment
from models.workflows import Workflow, WorkflowStatus

CONTACTS_MOST = 1_000
ENROLLER = "enrol_contacts"


@dataclass(frozen=True)
class Audience:
    """Whom an enrolment is for: the contacts of a segment, those that are named, or everybody when neither is given."""

    segment_id: UUID | None = None
    contact_ids: Sequence[UUID] | None = None

    @property
    def kind(self) -> EnrolmentAudience:
        """Which of them."""
        if self.segment_id:
            return EnrolmentAudience.SEGMENT
        return EnrolmentAudience.EVERYBODY if self.contact_ids is None else EnrolmentAudience.CONTACTS


async def enrol(
    session: AsyncSession, principal: Principal, workflow_id: UUID, audience: Audience, key: str | None = None
) -> WorkflowEnrolment:
    """Let contacts into a workflow, by the version that is active now. It is done soon, in slices.

    Raises:
        NotFound: the app has no such workflow, or no such segment.
        Invalid: none or too many contacts are named, or one is not the app's.
        Conflict: the workflow is not ACTIVE, or nobody is let into it by hand.
        IdempotencyKeyReused: `key` came before with another input.
    """
    id_ = new_id()
    request = {"enrol": [workflow_id, audience.segment_id, list(audience.contact_ids or ()), audience.kind]}
    if known := await idempotency.claim(session, principal.app_id, key, request, id_):
        return await get(session, principal.app_id, known)
    workflow = await drafts.get(session, principal.app_id, workflow_id, field="workflowId")
    version_id = await _version(session, workflow)
    row = WorkflowEnrolment(
        id=id_,
        app_id=principal.app_id,
        workflow_id=workflow.id,
        workflow_version_id=version_id,
        key=f"enrolment:{id_}",
        audience=audience.kind,
        due_at=now(),
        created_by_id=principal.user_id,
        **await _chosen(session, principal.app_id, audience),
    )
    session.add(row)
    facts.record(session, principal.author, FactKind.WORKFLOW_ENROLMENT_CREATED, row, workflowId=str(workflow.id))
    await session.flush()
    on_commit(session, lambda: wake(ENROLLER))
    return row


async def _version(session: AsyncSession, workflow: Workflow) -> UUID:
    if workflow.status is not WorkflowStatus.ACTIVE or workflow.active_version_id is None:
        raise Conflict(f"A workflow that is {workflow.status} lets nobody in; activate it first.", field="workflowId")
    plan = await plans.of(session, workflow.active_version_id)
    if not isinstance(plan.trigger, Manual):
        raise Conflict("Only a workflow whose trigger is manual lets contacts in by hand.", field="workflowId")
    return workflow.active_version_id


async def _chosen(session: AsyncSession, app_id: UUID, audience: Audience) -> dict[str, Any]:
    """What a row keeps of an audience."""
    if audience.segment_id:
        segment = await saved.get(session, app_id, audience.segment_id, field="audience.segmentId")
        return {"segment_id": segment.id, "conditions": segment.conditions}
    if audience.contact_ids is None:
        return {}
    if not 1 <= len(audience.contact_ids) <= CONTACTS_MOST:
        there = "audience.contactIds"
        raise Invalid(f"Name 1 to {CONTACTS_MOST} contacts; make a segment of more.", field=there)
    return {"contact_ids": await contacts.ids_of(session, app_id, audience.contact_ids, [], within="audience.")}


async def begin(
    session: AsyncSession, workflow: Workflow, version_id: UUID, segment_id: UUID | None, at: datetime
) -> None:
    """What the clock lets in at one of the times of a workflow, once however many clocks there are.

    A segment that is gone has nobody in it: the enrolment is there, and CANCELLED.
    """
    of_app = sa.select(Segment).where(Segment.app_id == workflow.app_id, Segment.id == segment_id)
    found: Segment | None = await session.scalar(of_app) if segment_id else None
    is_lost = segment_id is not None and found is None
    row = {
        "id": new_id(),
        "created_at": now(),
        "app_id": workflow.app_id,
        "workflow_id": workflow.id,
        "workflow_version_id": version_id,
        "key": f"schedule:{at.isoformat()}",
        "audience": EnrolmentAudience.SEGMENT if segment_id else EnrolmentAudience.EVERYBODY,
        "segment_id": segment_id,
        "conditions": found.conditions if found else None,
        "contact_ids": [],
        "status": EnrolmentStatus.CANCELLED if is_lost else EnrolmentStatus.RUNNING,
        "due_at": None if is_lost else now(),
        "ended_at": now() if is_lost else None,
    }
    await session.execute(insert(WorkflowEnrolment).values(row).on_conflict_do_nothing())


async def cancel(session: AsyncSession, principal: Principal, enrolment_id: UUID) -> WorkflowEnrolment:
    """Let nobody in any more by an enrolment. Who is in stays in.

    Raises:
        NotFound: the app has no such enrolment.
        Conflict: it has been completed.
    """
    row = await get(session, principal.app_id, enrolment_id, lock=True)
    if row.status is EnrolmentStatus.COMPLETED:
        raise Conflict("All have been let in; there is nothing left to cancel.", field="id")
    if row.status is EnrolmentStatus.RUNNING:
        end(row, EnrolmentStatus.CANCELLED)
        kind, of = FactKind.WORKFLOW_ENROLMENT_CANCELLED, str(row.workflow_id)
        facts.record(session, principal.author, kind, row, workflowId=of)
        await session.flush()
    return row


def end(row: WorkflowEnrolment, status: EnrolmentStatus) -> None:
    """Nothing more comes of it."""
    row.status, row.due_at, row.ended_at = status, None, now()


async def get(session: AsyncSession, app_id: UUID, enrolment_id: UUID, *, lock: bool = False) -> WorkflowEnrolment:
    """One enrolment of the app.

    Raises:
        NotFound: it has no such enrolment.
    """
    return await own(session, WorkflowEnrolment, app_id, enrolment_id, "enrolment", lock=lock)


async def listed(
    session: AsyncSession, app_id: UUID, workflow_id: UUID, request: PageRequest
) -> Page[WorkflowEnrolment]:
    """The enrolments of a workflow, newest first.

    Raises:
        NotFound: the app has no such workflow.
    """
    row = await drafts.get(session, app_id, workflow_id, field="workflowId")
    rows = sa.select(WorkflowEnrolment).where(
        WorkflowEnrolment.app_id == app_id, WorkflowEnrolment.workflow_id == row.id
    )
    return await page(session, rows, WorkflowEnrolment.id, request, newest_first=True)
