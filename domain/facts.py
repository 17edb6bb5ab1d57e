"""Facts: what happened, recorded in the transaction of the change; and ticks: "look again", told after the commit."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.broker import wake
from core.clock import now
from core.database import on_commit
from domain.audit import entries
from domain.audit.entries import Change
from domain.notifications import table as notifications
from domain.principals import Author
from domain.streams.writing import append
from domain.ticks import tick
from domain.webhook_events.writing import tell
from models.apps import App
from models.base import Record
from models.facts import Fact, FactKind

__all__ = ["DISPATCHER", "FOLLOWED", "record", "served_at", "take", "tenant_of", "tick", "waiting", "wake_dispatcher"]
DISPATCHER = "dispatch_facts"
WOKEN = frozenset({FactKind.BROADCAST_STARTED, FactKind.BROADCAST_RESUMED})
"""The kinds that actors follow; which ones is known to `jobs.facts`."""
FOLLOWED = WOKEN | notifications.FOLLOWED
"""The kinds that the dispatcher serves. The others are only kept."""
_ONE_AT_A_TIME = sa.select(sa.func.pg_try_advisory_xact_lock(sa.func.hashtextextended(DISPATCHER, 0)))


def record(  # noqa: PLR0913 - what a fact is made of
    session: AsyncSession,
    author: Author,
    kind: FactKind,
    row: Record,
    *,
    change: Change | None = None,
    streams: Sequence[str] = (),
    each: Sequence[Record] = (),
    **data: Any,
) -> None:
    """Write that `kind` happened to `row`, to the facts and to the audit log; followers are woken after the commit.

    To be called before the change is flushed: then the audit log gets its columns from the row.
    What belongs to no app, such as a person's second factor, is entered by `domain.audit.entries` alone.

    Args:
        session: the transaction of the change.
        author: who did it.
        kind: what happened.
        row: to what.
        change: what was before and what is after, when the row has been flushed all the same.
        streams: the event streams to which it is appended, as `conversation:<id>`; see `domain.streams`.
        each: what it happened to, when one fact stands for several: webhooks are told of each.
        data: what followers need besides.
    """
    tenant, entity = tenant_of(row), type(row).__name__
    changed = change or entries.change_of(session, row)
    entries.enter(session, author, kind, app_id=tenant, entity=entity, entity_id=row.id, change=changed)
    served = served_at(kind)
    fact = Fact(app_id=tenant, kind=kind, entity_id=row.id, actor=author.actor, data=data, dispatched_at=served)
    session.add(fact)
    append(session, fact, streams)
    tell(session, fact, each or (row,))
    if served is None:
        wake_dispatcher(session)


def tenant_of(row: Any) -> UUID:
    """The app that a row belongs to; an app belongs to itself."""
    found: UUID = row.id if isinstance(row, App) else row.app_id
    return found


def served_at(kind: FactKind) -> datetime | None:
    """The `dispatched_at` of a new fact: a kind that nobody follows needs no dispatcher."""
    return None if kind in FOLLOWED else now()


def wake_dispatcher(session: AsyncSession) -> None:
    """Wake the dispatcher once this transaction has committed, once however often it is asked for."""
    if not session.info.get(DISPATCHER):
        session.info[DISPATCHER] = True
        on_commit(session, lambda: wake(DISPATCHER))


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
