"""The index of triggers: which versions might let a contact in when something has happened."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from domain.watches import beginning as watching
from domain.workflows import definition, schedules, triggers
from domain.workflows.triggers import Scheduled, SegmentEntered
from models.workflows import TriggerKind, Workflow, WorkflowStatus, WorkflowTrigger, WorkflowVersion


async def candidates(
    session: AsyncSession, app_id: UUID, kind: TriggerKind, keys: Collection[str] = ()
) -> Sequence[WorkflowVersion]:
    """The versions of ACTIVE workflows that are let in by one of `keys`, or by anything of the kind.

    Whether the contact and the properties fit is still to be asked of each. Their definitions, which may be large, are
    not read: who asks often knows them already.

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
    slim = versions.options(defer(WorkflowVersion.definition, raiseload=True))
    return (await session.scalars(slim.order_by(WorkflowVersion.id))).all()


async def replace(session: AsyncSession, row: Workflow, version: WorkflowVersion) -> None:
    """Have a workflow found by the trigger of `version`, if it is ACTIVE, and by no other."""
    left = await _take_out(session, row)
    trigger = definition.parse(version.definition).trigger
    config, _ = triggers.read(trigger.type, trigger.config) if trigger else (None, ())
    is_active = row.status is WorkflowStatus.ACTIVE
    if trigger and config:
        kind = triggers.KINDS[trigger.type]
        session.add(
            WorkflowTrigger(
                app_id=row.app_id,
                kind=kind.name,
                key=kind.key(config),
                workflow_id=row.id,
                workflow_version_id=version.id,
                active=is_active,
            )
        )
    if is_active and isinstance(config, Scheduled):
        await schedules.keep(session, row, version.id, config)
    else:
        await schedules.drop(session, row)
    if is_active and isinstance(config, SegmentEntered):
        await watching.begin(session, row.app_id, config.segment_id)
    await _leave(session, row, left)


async def rest(session: AsyncSession, row: Workflow) -> None:
    """Have a workflow found by nothing until it is ACTIVE again."""
    own = sa.update(WorkflowTrigger).where(WorkflowTrigger.app_id == row.app_id, WorkflowTrigger.workflow_id == row.id)
    rested = own.values(active=False).returning(WorkflowTrigger.kind, WorkflowTrigger.key)
    found = await session.execute(rested.execution_options(synchronize_session=False))
    await _leave(session, row, _segments(found.all()))
    await schedules.drop(session, row)


async def remove(session: AsyncSession, row: Workflow) -> None:
    """Have a workflow found by nothing."""
    await _leave(session, row, await _take_out(session, row))
    await schedules.drop(session, row)


async def _take_out(session: AsyncSession, row: Workflow) -> set[UUID]:
    """Remove what a workflow is found by; returns the segments that it has waited for."""
    own = sa.delete(WorkflowTrigger).where(WorkflowTrigger.app_id == row.app_id, WorkflowTrigger.workflow_id == row.id)
    gone = own.returning(WorkflowTrigger.kind, WorkflowTrigger.key)
    return _segments((await session.execute(gone.execution_options(synchronize_session=False))).all())


def _segments(found: Iterable[Any]) -> set[UUID]:
    return {UUID(key) for kind, key in found if kind is TriggerKind.SEGMENT_ENTERED}


async def _leave(session: AsyncSession, row: Workflow, segment_ids: Collection[UUID]) -> None:
    for segment_id in sorted(segment_ids):
        await watching.leave(session, row.app_id, segment_id)
