"""Watched segments gone over in slices: who has come in, who has left, since nobody told of it.

A slice is a short transaction that holds the row of the watch, so that any number of clocks may sweep. It waits for
nobody who changes a contact: whom somebody holds is looked at in the next round.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain import workflow_signals
from domain.bulk import ONE_STATEMENT
from domain.segments import compiling, conditions
from domain.watches.beginning import is_awaited
from domain.workflow_signals import Signal
from models.contacts import Contact
from models.segment_watches import SegmentMember, SegmentWatch, WatchStatus
from models.segments import Segment
from models.workflows import TriggerKind

SLICE = 2_000
FORGOTTEN_AT_ONCE = 5_000
EVERY = timedelta(minutes=1)
SOON = timedelta(seconds=1)


async def next_(session: AsyncSession) -> SegmentWatch | None:
    """The watch that has waited longest, locked; None when none is due that nobody else has."""
    due = sa.select(SegmentWatch).where(SegmentWatch.due_at <= now()).order_by(SegmentWatch.due_at).limit(1)
    found: SegmentWatch | None = await session.scalar(due.with_for_update(skip_locked=True))
    return found


async def put_off(session: AsyncSession, segment_id: UUID | None) -> None:
    """Its slice has failed: leave it alone for one round."""
    this = sa.update(SegmentWatch).where(SegmentWatch.segment_id == segment_id)
    await session.execute(this.values(due_at=now() + EVERY).execution_options(synchronize_session=False))


async def go_on(session: AsyncSession, watch: SegmentWatch) -> None:
    """One slice of a locked watch. While many signals wait nobody is told of who comes in."""
    segment = await session.get(Segment, watch.segment_id)
    if segment is None or not await _is_awaited(session, watch):
        watch.status = WatchStatus.FORGETTING
    if segment is None or watch.status is WatchStatus.FORGETTING:
        await _forget(session, watch)
    elif watch.status is WatchStatus.WATCHING and await workflow_signals.are_many(session):
        watch.due_at = now() + SOON
    else:
        await _slice(session, watch, segment)


async def _is_awaited(session: AsyncSession, watch: SegmentWatch) -> bool:
    asked = sa.select(is_awaited()).select_from(SegmentWatch).where(SegmentWatch.segment_id == watch.segment_id)
    return bool(await session.scalar(asked))


async def _forget(session: AsyncSession, watch: SegmentWatch) -> None:
    some = sa.select(SegmentMember.contact_id).where(SegmentMember.segment_id == watch.segment_id)
    ids = (await session.scalars(some.limit(FORGOTTEN_AT_ONCE))).all()
    await _remove(session, watch.segment_id, ids)
    if len(ids) < FORGOTTEN_AT_ONCE:
        await session.delete(watch)


async def _remove(session: AsyncSession, segment_id: UUID, contact_ids: Sequence[UUID]) -> None:
    if contact_ids:
        these = SegmentMember.contact_id == sa.any_(sa.literal(list(contact_ids), sa.ARRAY(sa.UUID)))
        gone = sa.delete(SegmentMember).where(SegmentMember.segment_id == segment_id, these)
        await session.execute(gone.execution_options(synchronize_session=False))


async def _slice(session: AsyncSession, watch: SegmentWatch, segment: Segment) -> None:
    """One slice; after the last of a round the next one is due in a while."""
    at = now()
    if watch.after_contact_id is None:
        watch.begun_at = at
    await compiling.plan_by_values(session)
    last = await _last(session, watch)
    await _compare(session, watch, segment, last, at)
    watch.after_contact_id, watch.due_at = last, at
    if last is None:
        watch.status, watch.due_at = WatchStatus.WATCHING, max(at, watch.begun_at + EVERY)


async def _last(session: AsyncSession, watch: SegmentWatch) -> UUID | None:
    """The last contact of the slice; None when it is the last slice."""
    rows = sa.select(Contact.id).where(Contact.app_id == watch.app_id, *_within(Contact.id, watch, None))
    found: UUID | None = await session.scalar(rows.order_by(Contact.id).offset(SLICE - 1).limit(1))
    return found


def _within(
    column: sa.orm.InstrumentedAttribute[UUID], watch: SegmentWatch, last: UUID | None
) -> list[sa.ColumnElement[bool]]:
    after = [column > watch.after_contact_id] if watch.after_contact_id else []
    return after + ([column <= last] if last else [])


async def _compare(
    session: AsyncSession, watch: SegmentWatch, segment: Segment, last: UUID | None, at: datetime
) -> None:
    fits = compiling.where(conditions.parse(segment.conditions), watch.app_id, at)
    member = sa.select(sa.literal(1)).where(
        SegmentMember.segment_id == watch.segment_id, SegmentMember.contact_id == Contact.id
    )
    is_watching = watch.status is WatchStatus.WATCHING
    new = sa.select(Contact.id).where(fits, *_within(Contact.id, watch, last), sa.not_(member.exists()))
    held = new.order_by(Contact.id).with_for_update(read=True, key_share=True, skip_locked=is_watching, of=Contact)
    fitting = sa.select(sa.literal(1)).where(Contact.id == SegmentMember.contact_id, fits).correlate(SegmentMember)
    old = sa.select(SegmentMember.contact_id).where(
        SegmentMember.segment_id == watch.segment_id,
        *_within(SegmentMember.contact_id, watch, last),
        sa.not_(fitting.exists()),
    )
    gone = (await session.scalars(old.with_for_update(skip_locked=True))).all()
    await _remove(session, watch.segment_id, gone)
    entered = await _add(session, watch, (await session.scalars(held)).all(), at)
    if is_watching:
        keys = [str(watch.segment_id)]
        told = [Signal(id_, TriggerKind.SEGMENT_ENTERED, keys) for id_ in entered]
        await workflow_signals.write(session, watch.app_id, told)


async def _add(session: AsyncSession, watch: SegmentWatch, contact_ids: Sequence[UUID], at: datetime) -> Sequence[UUID]:
    if not contact_ids:
        return ()
    same = {"segment_id": watch.segment_id, "app_id": watch.app_id, "entered_at": at}
    put = insert(SegmentMember).on_conflict_do_nothing().returning(SegmentMember.contact_id)
    rows = [same | {"contact_id": id_} for id_ in contact_ids]
    return (await session.scalars(put, rows, execution_options=ONE_STATEMENT)).all()
