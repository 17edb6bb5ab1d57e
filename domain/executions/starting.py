"""A workflow is started for one contact, by somebody of the team or by a program."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.errors import Conflict, Invalid, NotFound
from core.ids import new_id
from domain import checks, facts, idempotency
from domain.events import PROPERTIES_MOST, USER_ID_MOST
from domain.executions import admitting, plans
from domain.executions.admitting import Entry
from domain.executions.plans import Plan
from domain.executions.telling import wake_runner
from domain.principals import Principal
from domain.segments import previews
from domain.workflows import drafts
from domain.workflows.definition import Reentry
from domain.workflows.triggers import Manual
from models.contacts import Contact
from models.executions import WorkflowExecution
from models.facts import FactKind
from models.workflows import Workflow, WorkflowStatus, WorkflowVersion

_KEPT_OUT = {
    Reentry.ONCE: "The contact has been in this workflow, which lets everybody in once.",
    Reentry.AFTER_END: "The contact is in this workflow; they may come in again when they are through.",
}


@dataclass(frozen=True)
class Start:
    """Which workflow, and for whom: a contact by their id or by the app's user id.

    Attributes:
        properties: what texts may say as `{{ event.properties.<key> }}`.
        key: the identity of the request: with the same one it is done once.
    """

    workflow_id: UUID
    contact_id: UUID | None
    user_id: str | None
    properties: dict[str, Any] | None
    key: str | None


async def start(session: AsyncSession, principal: Principal, asked: Start) -> WorkflowExecution:
    """Let a contact into a workflow whose trigger is `manual`.

    Raises:
        Invalid: a field breaks its rule.
        NotFound: no such contact or workflow in this app.
        Conflict: the workflow is not ACTIVE or has another trigger, or the contact may not come in; says why.
        IdempotencyKeyReused: the key came before with another input.
    """
    properties, token = _properties(asked), new_id()
    request = {"workflow": asked.workflow_id, "contact": [asked.contact_id, asked.user_id], "properties": properties}
    if known := await idempotency.claim(session, principal.app_id, asked.key, {"start": request}, token):
        return await _started(session, principal, asked, known)
    contact = await _contact(session, principal, asked)
    workflow = await drafts.get(session, principal.app_id, asked.workflow_id, field="workflowId")
    version, plan = await _plan(session, workflow)
    await _refuse_unfit(session, contact, plan)
    entry = Entry(contact.id, _key(token), {"event": {"properties": properties}})
    execution = await admitting.admit(session, version, plan, entry)
    if execution is None:
        raise Conflict(_KEPT_OUT[plan.reentry], field="contactId")
    change = (None, {"workflow_id": str(version.workflow_id), "contact_id": str(contact.id)})
    facts.record(session, principal.author, FactKind.WORKFLOW_EXECUTION_STARTED, execution, change=change)
    wake_runner(session)
    await session.flush()
    return execution


def _properties(asked: Start) -> dict[str, Any]:
    return checks.json_object(asked.properties, "properties", most_bytes=PROPERTIES_MOST) or {}


def _key(token: UUID) -> str:
    return f"manual:{token}"


async def _started(session: AsyncSession, principal: Principal, asked: Start, token: UUID) -> WorkflowExecution:
    """What the first request with this key has started."""
    this = sa.select(WorkflowExecution).where(
        WorkflowExecution.app_id == principal.app_id,
        WorkflowExecution.workflow_id == asked.workflow_id,
        WorkflowExecution.trigger_key == _key(token),
    )
    execution: WorkflowExecution | None = await session.scalar(this)
    if execution is None:
        raise NotFound("What this idempotencyKey has started is gone.", field="idempotencyKey")
    return execution


async def _contact(session: AsyncSession, principal: Principal, asked: Start) -> Contact:
    """Whom it is for, locked: nobody else lets them in meanwhile."""
    if (asked.contact_id is None) == (asked.user_id is None):
        raise Invalid("Name the contact by contactId or by userId, by one of them.", field="contactId")
    rows = sa.select(Contact).where(Contact.app_id == principal.app_id)
    if asked.contact_id is not None:
        field, this = "contactId", rows.where(Contact.id == asked.contact_id)
    else:
        field = "userId"
        this = rows.where(Contact.external_id == checks.text(asked.user_id or "", field, most=USER_ID_MOST))
    contact: Contact | None = await session.scalar(this.with_for_update())
    if contact is None:
        raise NotFound(f"{field} is no contact of this app.", field=field)
    return contact


async def _plan(session: AsyncSession, workflow: Workflow) -> tuple[WorkflowVersion, Plan]:
    """By what contacts come in now."""
    if workflow.status is not WorkflowStatus.ACTIVE or workflow.active_version_id is None:
        raise Conflict(f"A workflow that is {workflow.status} lets nobody in; activate it.", field="workflowId")
    version = await session.get_one(WorkflowVersion, workflow.active_version_id)
    plan = plans.plan_of(version)
    if not isinstance(plan.trigger, Manual):
        raise Conflict("Only a workflow whose trigger is manual is started like this.", field="workflowId")
    return version, plan


async def _refuse_unfit(session: AsyncSession, contact: Contact, plan: Plan) -> None:
    conditions = plan.trigger.conditions
    if conditions and not await previews.fits(session, contact.app_id, contact.id, conditions, now()):
        raise Conflict("The contact does not fit the conditions of the trigger.", field="contactId")
