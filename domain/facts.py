"""Facts: what happened, recorded in the transaction of the change; and ticks: "look again", told after the commit."""

from datetime import datetime
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
FOLLOWED = frozenset({FactKind.BROADCAST_STARTED, FactKind.BROADCAST_RESUMED})
"""The kinds that the dispatcher serves; who follows them is known to `jobs.facts`. The others are only kept."""
_ONE_AT_A_TIME = sa.select(sa.func.pg_try_advisory_xact_lock(sa.func.hashtextextended(DISPATCHER, 0)))


def record(
    session: AsyncSession, app_id: UUID, kind: FactKind, entity_id: UUID, *, actor: str = SYSTEM, **data: Any
) -> None:
    """Write that `kind` happened to `entity_id`; its followers are woken after the commit."""
    served = served_at(kind)
    session.add(Fact(app_id=app_id, kind=kind, entity_id=entity_id, actor=actor, data=data, dispatched_at=served))
    if served is None:
        wake_dispatcher(session)


def served_at(kind: FactKind) -> datetime | None:
    """The `dispatched_at` of a new fact: a kind that nobody follows needs no dispatcher."""
    return None if kind in FOLLOWED else now()


def wake_dispatcher(session: AsyncSession) -> None:
    """Wake the dispatcher once this transaction has committed, once however often it is asked for."""
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

    One dispatcher at a time: while another holds a batch there is nothing to take, as that one comes back for more.
    """
    if not await session.scalar(_ONE_AT_A_TIME):
        return []
    oldest = sa.select(Fact.id).where(Fact.dispatched_at.is_(None)).order_by(Fact.created_at).limit(limit)
    served = sa.update(Fact).where(Fact.id.in_(oldest.scalar_subquery())).values(dispatched_at=now())
    taken = await session.scalars(served.returning(Fact).execution_options(synchronize_session=False))
    return sorted(taken, key=lambda fact: fact.created_at)


async def waiting(session: AsyncSession) -> bool:
    """Whether any fact waits for the dispatcher."""
    return bool(await session.scalar(sa.select(sa.exists().where(Fact.dispatched_at.is_(None)))))
