"""Executions read: one, a list of a workflow or of a contact, and as those see them who watch."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Invalid
from domain.lookups import own
from domain.pages import Page, PageRequest, page
from domain.workflows import drafts
from models.contacts import Contact
from models.executions import ExecutionStatus, WorkflowExecution, WorkflowStep


@dataclass(frozen=True)
class Filter:
    """Which executions: those for which all holds that is given.

    Attributes:
        node_id: in progress at this node.
        since, until: came in from then on, and before then.
    """

    status: ExecutionStatus | None = None
    contact_id: UUID | None = None
    node_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Seen:
    """An execution as it is seen at one moment; equal to another when nothing has moved between."""

    row: WorkflowExecution = field(compare=False)
    state: tuple[Any, ...]


async def get(session: AsyncSession, app_id: UUID, execution_id: UUID, *, field: str = "id") -> WorkflowExecution:
    """One execution of the app; `field` is where its id came from.

    Raises:
        NotFound: it has no such execution.
    """
    return await own(session, WorkflowExecution, app_id, execution_id, "execution", field=field)


async def seen(session: AsyncSession, app_id: UUID, execution_id: UUID) -> Seen:
    """An execution with the state of its steps.

    Raises:
        NotFound: the app has no such execution.
    """
    row = await get(session, app_id, execution_id, field="executionId")
    step = (WorkflowStep.node_id, WorkflowStep.status, WorkflowStep.attempts, WorkflowStep.failures)
    theirs = sa.select(*step, WorkflowStep.due_at, WorkflowStep.fence).where(
        WorkflowStep.app_id == app_id, WorkflowStep.execution_id == row.id
    )
    steps = [tuple(one) for one in await session.execute(theirs.order_by(WorkflowStep.id))]
    return Seen(row, (row.status, row.ended_at, row.converted_at, row.contact_id, row.error_code, *steps))


async def listed(
    session: AsyncSession, app_id: UUID, workflow_id: UUID | None, chosen: Filter, request: PageRequest
) -> Page[WorkflowExecution]:
    """The executions of a workflow, of a contact, or of both, newest first.

    Raises:
        NotFound: no such workflow or contact in this app.
        Invalid: neither is given.
    """
    rows = sa.select(WorkflowExecution).where(WorkflowExecution.app_id == app_id)
    if workflow_id is None and chosen.contact_id is None:
        raise Invalid("Ask for workflowId or for filter.contactId.", field="workflowId")
    if workflow_id is not None:
        await drafts.get(session, app_id, workflow_id, field="workflowId")
        rows = rows.where(WorkflowExecution.workflow_id == workflow_id)
    if chosen.contact_id is not None:
        await own(session, Contact, app_id, chosen.contact_id, "contact", field="filter.contactId")
        rows = rows.where(WorkflowExecution.contact_id == chosen.contact_id)
    return await page(session, rows.where(*_conditions(chosen)), WorkflowExecution.id, request, newest_first=True)


def _conditions(chosen: Filter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if chosen.status is not None:
        found.append(WorkflowExecution.status == chosen.status)
    if chosen.since is not None:
        found.append(WorkflowExecution.created_at >= chosen.since)
    if chosen.until is not None:
        found.append(WorkflowExecution.created_at < chosen.until)
    if chosen.node_id is not None:
        at_node = sa.select(sa.literal(1)).where(
            WorkflowStep.execution_id == WorkflowExecution.id,
            WorkflowStep.node_id == chosen.node_id,
            WorkflowStep.ended_at.is_(None),
        )
        found += [WorkflowExecution.status == ExecutionStatus.RUNNING, at_node.exists()]
    return found


async def current_nodes(session: AsyncSession, execution_ids: Collection[UUID]) -> Mapping[UUID, Sequence[str]]:
    """The nodes at which executions are, those first that were reached first."""
    at = sa.select(WorkflowStep.execution_id, WorkflowStep.node_id).where(
        WorkflowStep.execution_id.in_(execution_ids), WorkflowStep.ended_at.is_(None)
    )
    found: dict[UUID, list[str]] = defaultdict(list)
    for execution_id, node_id in await session.execute(at.order_by(WorkflowStep.id)):
        found[execution_id].append(node_id)
    return found
