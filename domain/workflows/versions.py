"""Versions: what is published never changes; which of them lets contacts in, and whether it does."""

from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict, NotFound
from core.ids import new_id
from domain.pages import Page, PageRequest, page
from domain.principals import Principal
from domain.workflows import checking, definition, drafts, index
from domain.workflows.problems import Unpublishable
from models.facts import FactKind
from models.workflows import Workflow, WorkflowStatus, WorkflowVersion


class Published(NamedTuple):
    """A workflow and the version that it stands on; no problems, else there would be none."""

    workflow: Workflow
    version: WorkflowVersion
    problems: tuple[()] = ()


async def publish(session: AsyncSession, principal: Principal, workflow_id: UUID) -> Published:
    """Make a version of the draft. Contacts enter by it from now on; those who are in stay on theirs.

    A draft that is as the newest version already makes no other.

    Raises:
        NotFound: no such workflow in this app.
        Conflict: it is archived.
        Unpublishable: something is wrong with the draft; tells all that is.
    """
    row = await _open(session, principal, workflow_id)
    return Published(row, await _publish(session, principal, row))


async def _open(session: AsyncSession, principal: Principal, workflow_id: UUID) -> Workflow:
    row = await drafts.get(session, principal.app_id, workflow_id, lock=True)
    drafts.refuse_archived(row)
    return row


async def _publish(session: AsyncSession, principal: Principal, row: Workflow) -> WorkflowVersion:
    await _refuse_problems(session, row, row.definition)
    newest = await latest(session, row)
    if newest and newest.definition == row.definition and newest.id == row.active_version_id:
        return newest
    version = newest if newest and newest.definition == row.definition else _version(principal, row, newest)
    session.add(version)
    row.active_version_id, row.version = version.id, row.version + 1
    drafts.tell(session, principal, FactKind.WORKFLOW_PUBLISHED, row, number=version.number)
    await session.flush()
    await index.replace(session, row, version)
    await session.flush()
    return version


def _version(principal: Principal, row: Workflow, newest: WorkflowVersion | None) -> WorkflowVersion:
    return WorkflowVersion(
        id=new_id(),
        app_id=row.app_id,
        workflow_id=row.id,
        number=newest.number + 1 if newest else 1,
        definition=row.definition,
        published_by_id=principal.user_id,
    )


async def _refuse_problems(session: AsyncSession, row: Workflow, json: object) -> None:
    problems = await checking.check(session, row.app_id, definition.parse(json))
    if problems:
        raise Unpublishable(problems)


async def activate(
    session: AsyncSession, principal: Principal, workflow_id: UUID, number: int | None = None
) -> Published:
    """Let contacts in: by the version with `number`, by the newest when None; the draft is published if there is none.

    It is checked again: what a version names may be gone. What lets contacts in is found by `index.candidates`.

    Raises:
        NotFound: no such workflow in this app, or no such version of it.
        Conflict: it is archived.
        Unpublishable: something is wrong with it; tells all that is.
    """
    row = await _open(session, principal, workflow_id)
    version = await numbered(session, row, number) if number is not None else await latest(session, row)
    if version is None:
        version = await _publish(session, principal, row)
    else:
        await _refuse_problems(session, row, version.definition)
    if (row.status, row.active_version_id) == (WorkflowStatus.ACTIVE, version.id):
        return Published(row, version)
    row.active_version_id = version.id
    await _turn(session, principal, row, WorkflowStatus.ACTIVE, FactKind.WORKFLOW_ACTIVATED)
    await index.replace(session, row, version)
    await session.flush()
    return Published(row, version)


async def _turn(
    session: AsyncSession, principal: Principal, row: Workflow, status: WorkflowStatus, kind: FactKind
) -> None:
    row.status, row.version = status, row.version + 1
    drafts.tell(session, principal, kind, row)
    await session.flush()


async def pause(session: AsyncSession, principal: Principal, workflow_id: UUID) -> Workflow:
    """Let nobody in until it is activated again.

    Raises:
        NotFound: no such workflow in this app.
        Conflict: it is neither ACTIVE nor PAUSED.
    """
    row = await drafts.get(session, principal.app_id, workflow_id, lock=True)
    if row.status is WorkflowStatus.PAUSED:
        return row
    if row.status is not WorkflowStatus.ACTIVE:
        raise Conflict(f"A workflow that is {row.status} cannot be paused; only an ACTIVE one can.", field="id")
    await _turn(session, principal, row, WorkflowStatus.PAUSED, FactKind.WORKFLOW_PAUSED)
    await index.rest(session, row)
    return row


async def archive(session: AsyncSession, principal: Principal, workflow_id: UUID) -> Workflow:
    """Put a workflow away for good: it lets nobody in and is never changed again.

    Raises:
        NotFound: no such workflow in this app.
    """
    row = await drafts.get(session, principal.app_id, workflow_id, lock=True)
    if row.status is not WorkflowStatus.ARCHIVED:
        await _turn(session, principal, row, WorkflowStatus.ARCHIVED, FactKind.WORKFLOW_ARCHIVED)
        await index.remove(session, row)
    return row


async def latest(session: AsyncSession, row: Workflow) -> WorkflowVersion | None:
    """The newest version of a workflow; None before the first."""
    own = sa.select(WorkflowVersion).where(WorkflowVersion.workflow_id == row.id, WorkflowVersion.app_id == row.app_id)
    return (await session.scalars(own.order_by(WorkflowVersion.number.desc()).limit(1))).first()


async def numbered(session: AsyncSession, row: Workflow, number: int, field: str = "number") -> WorkflowVersion:
    """The version of a workflow with a number.

    Raises:
        NotFound: there is no such version.
    """
    own = sa.select(WorkflowVersion).where(WorkflowVersion.workflow_id == row.id, WorkflowVersion.app_id == row.app_id)
    version = (await session.scalars(own.where(WorkflowVersion.number == number))).first()
    if version is None:
        raise NotFound("There is no such version of this workflow.", field=field)
    return version


async def drawn(
    session: AsyncSession, row: Workflow, number: int | None, field: str = "number"
) -> definition.Definition:
    """The definition of the version with `number`; of the draft, when None.

    Raises:
        NotFound: there is no such version.
    """
    json = row.definition if number is None else (await numbered(session, row, number, field)).definition
    return definition.parse(json)


async def listed(session: AsyncSession, app_id: UUID, workflow_id: UUID, request: PageRequest) -> Page[WorkflowVersion]:
    """The versions of a workflow, newest first.

    Raises:
        NotFound: no such workflow in this app.
    """
    row = await drafts.get(session, app_id, workflow_id, field="workflowId")
    own = sa.select(WorkflowVersion).where(WorkflowVersion.app_id == app_id, WorkflowVersion.workflow_id == row.id)
    return await page(session, own, WorkflowVersion.number, request, newest_first=True)
