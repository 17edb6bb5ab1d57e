"""Facts: what happened, recorded in the transaction of the change; and ticks: "look again", told after the commit."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.broker import wake
from core.clock import now
from core.database import on_commit
from core.pubsub import Tick, publish
from models.facts import Fact, FactKind

DISPATCHER = "dispatch_facts"
SYSTEM = "system"
_TICKS = "ticks"


def record(
    session: AsyncSession, app_id: UUID, kind: FactKind, entity_id: UUID, *, actor: str = SYSTEM, **data: Any
) -> None:
    """Write that `kind` happened to `entity_id`; its followers are woken after the commit."""
    session.add(Fact(app_id=app_id, kind=kind, entity_id=entity_id, actor=actor, data=data))
    if not session.info.get(DISPATCHER):
        session.info[DISPATCHER] = True
        on_commit(session, lambda: wake(DISPATCHER))


def tick(session: AsyncSession, topic: str, **data: Any) -> None:
    """Tell the subscribers of `topic` to look again, once this transaction has committed."""
    ticks = session.info.get(_TICKS)
    if ticks is None:
        ticks = session.info[_TICKS] = []
        on_commit(session, lambda: publish(ticks))
    ticks.append(Tick(topic, data))


async def take(session: AsyncSession, limit: int = 500) -> list[Fact]:
    """The oldest facts whose followers have not been served, marked as served in this transaction.

    Facts that another dispatcher holds at the moment are passed over.
    """
    oldest = (
        sa.select(Fact)
        .where(Fact.dispatched_at.is_(None))
        .order_by(Fact.created_at)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    facts = list(await session.scalars(oldest))
    for fact in facts:
        fact.dispatched_at = now()
    return facts


async def waiting(session: AsyncSession) -> bool:
    """Whether any fact waits for the dispatcher."""
    return bool(await session.scalar(sa.select(sa.exists().where(Fact.dispatched_at.is_(None)))))
