"""Segments: conditions that an app keeps under a name."""

from typing import TypedDict
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict, NotFound
from core.ids import new_id
from domain import checks, facts, idempotency
from domain.lookups import own
from domain.pages import Page, PageRequest, page
from domain.principals import Principal
from domain.segments import conditions
from domain.segments.conditions import Condition
from models.broadcasts import Broadcast
from models.facts import FactKind
from models.segments import Segment

NAME_MOST = 100
DESCRIPTION_MOST = 500


class SegmentFields(TypedDict, total=False):
    """What can be said of a segment; a key that is absent is left as it is. `conditions` is what `parse` takes."""

    name: str
    description: str | None
    conditions: object


async def create(session: AsyncSession, principal: Principal, fields: SegmentFields, key: str | None = None) -> Segment:
    """A new segment; it needs a name and conditions.

    Raises:
        Invalid: a field breaks its rule.
        NotFound: the conditions name a broadcast that the app has not.
        Conflict: the app has a segment of this name.
        IdempotencyKeyReused: `key` came before with another input.
    """
    row = Segment(id=new_id(), app_id=principal.app_id, created_by_id=principal.user_id)
    await _fill(session, row, fields)
    request = {"name": row.name, "description": row.description, "conditions": row.conditions}
    if known := await idempotency.claim(session, principal.app_id, key, {"segment": request}, row.id):
        return await get(session, principal.app_id, known)
    session.add(row)
    facts.record(session, principal.author, FactKind.SEGMENT_CREATED, row)
    await _flush(session)
    return row


async def update(session: AsyncSession, principal: Principal, segment_id: UUID, fields: SegmentFields) -> Segment:
    """Change the given fields of a segment. Who is in it follows at once.

    Raises:
        NotFound: no such segment in this app, or as in `create`.
        Invalid, Conflict: as in `create`.
    """
    row = await get(session, principal.app_id, segment_id, lock=True)
    await _fill(session, row, fields)
    facts.record(session, principal.author, FactKind.SEGMENT_UPDATED, row)
    await _flush(session)
    return row


async def _fill(session: AsyncSession, row: Segment, fields: SegmentFields) -> None:
    if "name" in fields:
        row.name = checks.text(fields["name"], "name", most=NAME_MOST)
    if "description" in fields:
        row.description = checks.optional_text(fields["description"], "description", most=DESCRIPTION_MOST)
    if "conditions" in fields:
        condition = await understood(session, row.app_id, fields["conditions"])
        row.conditions = conditions.dump(condition)


async def understood(session: AsyncSession, app_id: UUID, json: object, field: str = "conditions") -> Condition:
    """The condition that `json` is, which names nothing that the app has not; `field` is where it stands.

    Raises:
        Invalid: it is no condition.
        NotFound: it names a broadcast that the app has not.
    """
    condition = conditions.parse(json, field)
    named = conditions.broadcast_ids(condition)
    if named:
        known = sa.select(sa.func.count()).where(Broadcast.app_id == app_id, Broadcast.id.in_(named))
        if await session.scalar(known) != len(named):
            raise NotFound(f"{field} names a broadcast that there is not.", field=field)
    return condition


async def _flush(session: AsyncSession) -> None:
    try:
        await session.flush()
    except IntegrityError:
        raise Conflict("Another segment of this app has this name.", field="name") from None


async def delete(session: AsyncSession, principal: Principal, segment_id: UUID) -> Segment:
    """Delete a segment, not the contacts in it.

    Raises:
        NotFound: no such segment in this app.
    """
    row = await get(session, principal.app_id, segment_id, lock=True)
    await session.delete(row)
    facts.record(session, principal.author, FactKind.SEGMENT_DELETED, row)
    await session.flush()
    return row


async def get(
    session: AsyncSession, app_id: UUID, segment_id: UUID, *, lock: bool = False, field: str = "id"
) -> Segment:
    """One segment of the app; `field` is where its id came from.

    Raises:
        NotFound: it has no such segment.
    """
    return await own(session, Segment, app_id, segment_id, "segment", lock=lock, field=field)


async def listed(session: AsyncSession, app_id: UUID, request: PageRequest) -> Page[Segment]:
    """The segments of an app, newest first."""
    return await page(
        session, sa.select(Segment).where(Segment.app_id == app_id), Segment.id, request, newest_first=True
    )
