"""One contact to whom something has happened: which watched segments they come into, which they leave."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.segments import compiling, conditions
from domain.segments.conditions import Condition
from models.contacts import Contact
from models.segment_watches import SegmentMember, SegmentWatch, WatchStatus
from models.segments import Segment


async def entered(session: AsyncSession, app_id: UUID, contact_id: UUID, at: datetime) -> list[UUID]:
    """The watched segments that a contact, whose row the transaction has locked for itself, comes into now.

    Who is in which is written down anew. A segment whose baseline is not written yet is left to the clock.
    """
    watched = await _watched(session, app_id)
    if not watched:
        return []
    fitting = await _fitting(session, app_id, contact_id, watched, at)
    own = sa.select(SegmentMember.segment_id).where(
        SegmentMember.app_id == app_id, SegmentMember.contact_id == contact_id
    )
    member_of = set(await session.scalars(own.where(SegmentMember.segment_id.in_(watched))))
    await _leave(session, contact_id, member_of - fitting)
    return await _enter(session, app_id, contact_id, sorted(fitting - member_of), at)


async def _watched(session: AsyncSession, app_id: UUID) -> dict[UUID, Condition]:
    rows = sa.select(Segment.id, Segment.conditions).join(SegmentWatch, SegmentWatch.segment_id == Segment.id)
    own = rows.where(SegmentWatch.app_id == app_id, SegmentWatch.status == WatchStatus.WATCHING)
    return {id_: conditions.parse(json) for id_, json in await session.execute(own)}


async def _fitting(
    session: AsyncSession, app_id: UUID, contact_id: UUID, watched: Mapping[UUID, Condition], at: datetime
) -> set[UUID]:
    """The segments whose condition holds, all asked in one statement."""
    asked = [
        compiling.where(condition, app_id, at).is_(True).label(f"c{no}")
        for no, condition in enumerate(watched.values())
    ]
    answers = (await session.execute(sa.select(*asked).where(Contact.id == contact_id))).one()
    return {id_ for id_, holds in zip(watched, answers, strict=True) if holds}


async def _leave(session: AsyncSession, contact_id: UUID, segment_ids: Collection[UUID]) -> None:
    if segment_ids:
        own = sa.delete(SegmentMember).where(
            SegmentMember.contact_id == contact_id, SegmentMember.segment_id.in_(segment_ids)
        )
        await session.execute(own.execution_options(synchronize_session=False))


async def _enter(
    session: AsyncSession, app_id: UUID, contact_id: UUID, segment_ids: Collection[UUID], at: datetime
) -> list[UUID]:
    if not segment_ids:
        return []
    new = {"app_id": app_id, "contact_id": contact_id, "entered_at": at}
    put = insert(SegmentMember).values([{"segment_id": id_, **new} for id_ in segment_ids]).on_conflict_do_nothing()
    return list(await session.scalars(put.returning(SegmentMember.segment_id)))
