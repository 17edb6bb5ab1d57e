"""Signals taken: whom they let in, and who waited for them. Each has a transaction of its own; then it is gone."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain.broadcasts import conversions
from domain.executions import admitting, arriving, plans
from domain.executions.admitting import Entry
from domain.executions.plans import Plan
from domain.segments import evaluating, previews
from domain.watches import membership
from domain.workflows import index
from domain.workflows.triggers import EventTracked
from models.contacts import Contact
from models.events import Event
from models.workflow_signals import WorkflowSignal
from models.workflows import TriggerKind, WorkflowVersion

FAILURES_MOST = 10


async def waiting(session: AsyncSession) -> bool:
    """Whether any signal is to be looked at."""
    return bool(await session.scalar(sa.select(_due().exists())))


def _due() -> sa.Select[WorkflowSignal]:
    return sa.select(WorkflowSignal).where(WorkflowSignal.due_at.is_not(None), WorkflowSignal.due_at <= now())


async def next_(session: AsyncSession) -> WorkflowSignal | None:
    """The signal that has waited longest, locked; None when there is none that nobody else has."""
    oldest = _due().order_by(WorkflowSignal.due_at, WorkflowSignal.id).limit(1)
    found: WorkflowSignal | None = await session.scalar(oldest.with_for_update(skip_locked=True))
    return found


async def take(session: AsyncSession, signal: WorkflowSignal) -> None:
    """Let in whom a locked signal lets in, serve who waited for it, and forget it."""
    contact = await session.scalar(
        sa.select(Contact).where(Contact.id == signal.contact_id, Contact.app_id == signal.app_id).with_for_update()
    )
    if contact is not None:
        if signal.kind is TriggerKind.EVENT and signal.source_id:
            await _arrive(session, signal)
        for version in await index.candidates(session, signal.app_id, signal.kind, signal.keys):
            key = f"{signal.kind.value}:{signal.source_id or signal.id}"
            await _offer(session, version, signal, key, signal.data)
        if signal.kind is not TriggerKind.SEGMENT_ENTERED:
            await _enter_segments(session, signal)
    await session.delete(signal)


async def _enter_segments(session: AsyncSession, signal: WorkflowSignal) -> None:
    """Whatever has happened, the contact may fit a segment by it that workflows wait for."""
    entered = await membership.entered(session, signal.app_id, signal.contact_id, now())
    if entered:
        kind = TriggerKind.SEGMENT_ENTERED
        for version in await index.candidates(session, signal.app_id, kind, [str(one) for one in entered]):
            await _offer(session, version, signal, f"{kind.value}:{signal.id}", {})


async def _arrive(session: AsyncSession, signal: WorkflowSignal) -> None:
    event = await session.get(Event, signal.source_id)
    if event is not None:
        await conversions.convert(session, event)
        await arriving.arrive(session, event, now())


async def _offer(
    session: AsyncSession, version: WorkflowVersion, signal: WorkflowSignal, key: str, context: dict[str, Any]
) -> None:
    """Let the contact in, if the trigger fits."""
    plan = await plans.of(session, version.id)
    if await _fits(session, plan, signal):
        entry = Entry(signal.contact_id, key, context, tuple(signal.lineage))
        await admitting.admit(session, version, plan, entry)


async def _fits(session: AsyncSession, plan: Plan, signal: WorkflowSignal) -> bool:
    trigger, at = plan.trigger, now()
    if isinstance(trigger, EventTracked) and trigger.properties:
        event = SimpleNamespace(properties=signal.data.get("event", {}).get("properties", {}))
        if not evaluating.fit(trigger.properties, event, at):
            return False
    if trigger.conditions is None:
        return True
    return await previews.fits(session, signal.app_id, signal.contact_id, trigger.conditions, at)


async def put_off(session: AsyncSession, signal_id: UUID) -> None:
    """It could not be taken: look again later, in the end never."""
    signal = await session.get(WorkflowSignal, signal_id, with_for_update=True)
    if signal is not None:
        signal.failures += 1
        again = now() + timedelta(seconds=2**signal.failures)
        signal.due_at = again if signal.failures < FAILURES_MOST else None
