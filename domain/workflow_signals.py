"""Signals: what happens to contacts is written down for workflows, where one might care, with the change itself.

Whether anybody does is a look at some indexes, in one statement. What comes of a signal is decided later, by
`domain.executions`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.broker import wake
from core.clock import now
from core.database import on_commit
from core.ids import new_id
from core.json import encode
from models.workflow_signals import WorkflowSignal
from models.workflows import TriggerKind, WorkflowTrigger

LISTENER = "take_signals"
GOAL_HOURS_MOST = 24 * 30
"""How long after a broadcast has ended its goal may still be reached, at most."""
MANY = 1_000
_CAUSE = "workflow_lineage"


@dataclass(frozen=True)
class Signal:
    """Something that happened to a contact.

    Attributes:
        keys: what exactly: the name of the event, the channel, the tags, the fields.
        source_id: the event or the message; None when the signal is all that tells of it.
        data: what it brings for variables.
    """

    contact_id: UUID
    kind: TriggerKind
    keys: Sequence[str]
    source_id: UUID | None = None
    data: dict[str, Any] = field(default_factory=dict)


_WRITE = sa.text("""
    INSERT INTO workflow_signals (id, created_at, due_at, app_id, contact_id, kind, keys, source_id, data, lineage)
    SELECT s.id, :at, :at, :app_id, s.contact_id, s.kind, s.keys::text[], s.source_id, s.data::jsonb, :lineage
    FROM unnest(:ids, :contact_ids, :kinds, :keys, :source_ids, :data)
      AS s (id, contact_id, kind, keys, source_id, data)
    WHERE EXISTS (
      SELECT FROM workflow_triggers t
      WHERE t.app_id = :app_id AND t.active
        AND ((t.kind = s.kind AND (t.key = '' OR t.key = ANY (s.keys::text[]))) OR t.kind = :segment)
    ) OR (s.kind = :event AND (EXISTS (
      SELECT FROM workflow_waits w WHERE w.contact_id = s.contact_id AND w.event_name = ANY (s.keys::text[])
    ) OR EXISTS (
      SELECT FROM broadcasts b
      WHERE b.app_id = :app_id AND b.goal_event_name = ANY (s.keys::text[]) AND b.sent_at IS NOT NULL
        AND (b.completed_at IS NULL OR b.completed_at > :goal_since)
    )))
""").bindparams(
    sa.bindparam("ids", type_=sa.ARRAY(sa.UUID())),
    sa.bindparam("contact_ids", type_=sa.ARRAY(sa.UUID())),
    sa.bindparam("kinds", type_=sa.ARRAY(sa.Text())),
    sa.bindparam("keys", type_=sa.ARRAY(sa.Text())),
    sa.bindparam("source_ids", type_=sa.ARRAY(sa.UUID())),
    sa.bindparam("data", type_=sa.ARRAY(sa.Text())),
    sa.bindparam("lineage", type_=sa.ARRAY(sa.UUID())),
    sa.bindparam("at", type_=sa.TIMESTAMP(timezone=True)),
    sa.bindparam("goal_since", type_=sa.TIMESTAMP(timezone=True)),
    sa.bindparam("app_id", type_=sa.UUID()),
    sa.bindparam("segment", type_=sa.Text()),
    sa.bindparam("event", type_=sa.Text()),
)


def caused_by(session: AsyncSession, lineage: Sequence[UUID]) -> None:
    """Say that what this transaction changes is the work of workflows: the last of `lineage`, led to by the others."""
    session.info[_CAUSE] = list(lineage)


async def write(session: AsyncSession, app_id: UUID, signals: Sequence[Signal]) -> int:
    """Write down those that a workflow might care for, by one statement; returns how many they are.

    To be called when what they tell of has been written: an event that somebody begins to wait for at this moment is
    found by one of the two.
    """
    if not signals:
        return 0
    done = await session.execute(_WRITE, _columns(signals) | _common(session, app_id, now()))
    written = int(getattr(done, "rowcount", 0))
    if written:
        wake_listener(session)
    return written


async def are_awaited(session: AsyncSession, app_id: UUID, kinds: Collection[TriggerKind]) -> bool:
    """Whether an ACTIVE workflow of the app is for anything of some kinds; for those who have many to tell of."""
    some = sa.select(WorkflowTrigger.id).where(
        WorkflowTrigger.app_id == app_id, WorkflowTrigger.kind.in_(kinds), WorkflowTrigger.active
    )
    return bool(await session.scalar(sa.select(some.exists())))


async def are_many(session: AsyncSession) -> bool:
    """Whether so many signals wait that nobody should add to them who need not now."""
    waiting = sa.select(WorkflowSignal.id).where(WorkflowSignal.due_at.is_not(None), WorkflowSignal.due_at <= now())
    count = sa.select(sa.func.count()).select_from(waiting.limit(MANY).subquery())
    return (await session.scalar(count) or 0) >= MANY


def _columns(signals: Sequence[Signal]) -> dict[str, Any]:
    return {
        "ids": [new_id() for _ in signals],
        "contact_ids": [one.contact_id for one in signals],
        "kinds": [one.kind.value for one in signals],
        "keys": [_array(one.keys) for one in signals],
        "source_ids": [one.source_id for one in signals],
        "data": [encode(one.data).decode() for one in signals],
    }


def _array(texts: Sequence[str]) -> str:
    """An array as PostgreSQL writes it: `unnest` takes lists of one length only."""
    escaped = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{one}"' for one in escaped) + "}"


def _common(session: AsyncSession, app_id: UUID, at: datetime) -> dict[str, Any]:
    return {
        "app_id": app_id,
        "at": at,
        "goal_since": at - timedelta(hours=GOAL_HOURS_MOST),
        "lineage": session.info.get(_CAUSE, []),
        "segment": TriggerKind.SEGMENT_ENTERED.value,
        "event": TriggerKind.EVENT.value,
    }


def wake_listener(session: AsyncSession) -> None:
    """Have the signals looked at once this transaction has committed."""
    if not session.info.get(LISTENER):
        session.info[LISTENER] = True
        on_commit(session, lambda: wake(LISTENER))
