"""The index of triggers: which versions might let a contact in when something has happened."""

from collections.abc import Collection, Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from domain.workflows import definition, triggers
from models.workflows import TriggerKind, Workflow, WorkflowStatus, WorkflowTrigger, WorkflowVersion


async def candidates(
    session: AsyncSession, app_id: UUID, kind: TriggerKind, keys: Collection[str] = ()
) -> Sequence[WorkflowVersion]:
    """The versions of ACTIVE workflows that are let in by one of `keys`, or by anything of the kind.

    Whether the contact and the properties fit is still to be asked of each.

    Args:
        session: the transaction.
        app_id: whose.
        kind: what has happened.
        keys: what exactly: the name of an event, a channel, tags, fields, segments.
    """
    asked = [triggers.ANY, *keys]
    fitting = sa.select(WorkflowTrigger.workflow_version_id).where(
        WorkflowTrigger.app_id == app_id,
        WorkflowTrigger.kind == kind,
        WorkflowTrigger.key.in_(asked),
        WorkflowTrigger.active,
    )
    versions = sa.select(WorkflowVersion).where(WorkflowVersion.app_id == app_id, WorkflowVersion.id.in_(fitting))
    return (await session.scalars(versions.order_by(WorkflowVersion.id))).all()


async def replace(session: AsyncSession, row: Workflow, version: WorkflowVersion) -> None:
    """Have a workflow found by the trigger of `version`, if it is ACTIVE, and by no other."""
    await remove(session, row)
    trigger = definition.parse(version.definition).trigger
    config, _ = triggers.read(trigger.type, trigger.config) if trigger else (None, ())
    if trigger and config:
        kind = triggers.KINDS[trigger.type]
        session.add(
            WorkflowTrigger(
                app_id=row.app_id,
                kind=kind.name,
                key=kind.key(config),
                workflow_id=row.id,
                workflow_version_id=version.id,
                active=row.status is WorkflowStatus.ACTIVE,
            )
        )


async def rest(session: AsyncSession, row: Workflow) -> None:
    """Have a workflow found by nothing until it is ACTIVE again."""
    own = sa.update(WorkflowTrigger).where(WorkflowTrigger.app_id == row.app_id, WorkflowTrigger.workflow_id == row.id)
    await session.execute(own.values(active=False).execution_options(synchronize_session=False))


async def remove(session: AsyncSession, row: Workflow) -> None:
    """Have a workflow found by nothing."""
    own = sa.delete(WorkflowTrigger).where(WorkflowTrigger.app_id == row.app_id, WorkflowTrigger.workflow_id == row.id)
    await session.execute(own.execution_options(synchronize_session=False))
