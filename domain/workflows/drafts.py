"""Workflows as the team draws them: made, changed, copied, brought in from elsewhere, deleted, listed."""

from typing import Any, TypedDict
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict, Invalid
from core.ids import new_id
from domain import checks, facts, idempotency
from domain.lookups import own
from domain.pages import Page, PageRequest, page
from domain.principals import Principal
from domain.workflows import definition
from models.facts import FactKind
from models.workflows import Workflow, WorkflowStatus

NAME_MOST = 100
DESCRIPTION_MOST = 500
WORKFLOWS_MOST = 1_000
FORMAT = "replyhq.workflow.1"
EMPTY: dict[str, Any] = {"nodes": [], "edges": []}


class WorkflowFields(TypedDict, total=False):
    """What can be said of a workflow; a key that is absent is left as it is. `definition` is what `parse` takes."""

    name: str
    description: str | None
    definition: object


def tell(session: AsyncSession, principal: Principal, kind: FactKind, row: Workflow, **data: Any) -> None:
    """Record that something happened to a workflow; the one place where that is done."""
    facts.record(session, principal.author, kind, row, **data)


async def create(
    session: AsyncSession, principal: Principal, fields: WorkflowFields, key: str | None = None
) -> Workflow:
    """A new draft; it needs a name. What it does may be incomplete, or wrong as yet.

    Raises:
        Invalid: a field breaks its rule; the definition has not the shape of one.
        Conflict: the app has 1,000 workflows already.
        IdempotencyKeyReused: `key` came before with another input.
    """
    row = Workflow(id=new_id(), app_id=principal.app_id, created_by_id=principal.user_id, definition=EMPTY)
    _fill(row, fields)
    request = {"name": row.name, "description": row.description, "definition": row.definition}
    if known := await idempotency.claim(session, principal.app_id, key, {"workflow": request}, row.id):
        return await get(session, principal.app_id, known)
    held = sa.select(sa.func.count()).where(Workflow.app_id == principal.app_id)
    if (await session.scalar(held) or 0) >= WORKFLOWS_MOST:
        raise Conflict(f"An app has {WORKFLOWS_MOST} workflows at most; delete drafts that are not needed.")
    session.add(row)
    tell(session, principal, FactKind.WORKFLOW_CREATED, row)
    await session.flush()
    return row


async def update(
    session: AsyncSession,
    principal: Principal,
    workflow_id: UUID,
    fields: WorkflowFields,
    expected_version: int | None = None,
) -> Workflow:
    """Change the draft. Whatever is published stays as it is; an ACTIVE workflow goes on with its version.

    Args:
        session: the transaction.
        principal: who asks.
        workflow_id: which.
        fields: what is changed.
        expected_version: of the workflow as the asker has it; any, when None.

    Raises:
        NotFound: no such workflow in this app.
        Conflict: it is archived, or somebody else has changed it since.
        Invalid: as in `create`.
    """
    row = await get(session, principal.app_id, workflow_id, lock=True)
    refuse_archived(row)
    if expected_version not in {None, row.version}:
        raise Conflict("Somebody else has changed this workflow; read it again.", field="expectedVersion")
    _fill(row, fields)
    row.version += 1
    tell(session, principal, FactKind.WORKFLOW_UPDATED, row)
    await session.flush()
    return row


def _fill(row: Workflow, fields: WorkflowFields) -> None:
    if "name" in fields:
        row.name = checks.text(fields["name"], "name", most=NAME_MOST)
    if "description" in fields:
        row.description = checks.optional_text(fields["description"], "description", most=DESCRIPTION_MOST)
    if "definition" in fields:
        row.definition = definition.dump(definition.parse(fields["definition"]))


def refuse_archived(row: Workflow) -> None:
    """Refuse to touch what is archived.

    Raises:
        Conflict: it is.
    """
    if row.status is WorkflowStatus.ARCHIVED:
        raise Conflict("An archived workflow stays as it is; duplicate it instead.", field="id")


async def delete(session: AsyncSession, principal: Principal, workflow_id: UUID) -> Workflow:
    """Delete a workflow that has never let anybody in.

    Raises:
        NotFound: no such workflow in this app.
        Conflict: it is no DRAFT.
    """
    row = await get(session, principal.app_id, workflow_id, lock=True)
    if row.status is not WorkflowStatus.DRAFT:
        raise Conflict(f"A workflow that is {row.status} is not deleted; archive it.", field="id")
    await session.delete(row)
    tell(session, principal, FactKind.WORKFLOW_DELETED, row)
    await session.flush()
    return row


async def duplicate(session: AsyncSession, principal: Principal, workflow_id: UUID, name: str | None) -> Workflow:
    """A new draft that does what the draft of another does; called `Copy of …` unless it is given a name.

    Raises:
        NotFound: no such workflow in this app.
        Invalid, Conflict: as in `create`.
    """
    row = await get(session, principal.app_id, workflow_id)
    called = name if name is not None else f"Copy of {row.name}"[:NAME_MOST]
    fields = WorkflowFields(name=called, description=row.description, definition=row.definition)
    return await create(session, principal, fields)


def exported(row: Workflow) -> dict[str, Any]:
    """A workflow as a document that `bring_in` takes, in this app or in another."""
    told = {"name": row.name, "description": row.description, "definition": row.definition}
    return {"format": FORMAT, **told}


async def bring_in(session: AsyncSession, principal: Principal, document: object, key: str | None = None) -> Workflow:
    """A new draft from a document of `exported`. What it names of another app is told by `checking`.

    Raises:
        Invalid: it is no such document, or as in `create`.
        Conflict, IdempotencyKeyReused: as in `create`.
    """
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise Invalid(f'document must be an exported workflow, {{"format": "{FORMAT}", …}}.', field="document")
    name, description = document.get("name"), document.get("description")
    if not isinstance(name, str) or not isinstance(description, str | None):
        raise Invalid("document must have a name, and a description of text.", field="document")
    drawn = definition.dump(definition.parse(document.get("definition"), "document.definition"))
    fields = WorkflowFields(name=name, description=description, definition=drawn)
    return await create(session, principal, fields, key)


async def get(
    session: AsyncSession, app_id: UUID, workflow_id: UUID, *, lock: bool = False, field: str = "id"
) -> Workflow:
    """One workflow of the app; `field` is where its id came from.

    Raises:
        NotFound: it has no such workflow.
    """
    return await own(session, Workflow, app_id, workflow_id, "workflow", lock=lock, field=field)


async def listed(
    session: AsyncSession, app_id: UUID, status: WorkflowStatus | None, request: PageRequest
) -> Page[Workflow]:
    """The workflows of an app, newest first; those in one status, unless it is None."""
    rows = sa.select(Workflow).where(Workflow.app_id == app_id)
    chosen = rows.where(Workflow.status == status) if status else rows
    return await page(session, chosen, Workflow.id, request, newest_first=True)
