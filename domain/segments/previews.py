"""Who a condition chooses at this moment: how many, and some of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from domain.segments import compiling
from domain.segments.conditions import Condition
from models.contacts import Contact

SAMPLE = 10
MANY = 10_000


@dataclass(frozen=True)
class Preview:
    """How many contacts fit, and up to 10 of them, whichever are found first, oldest first."""

    count: int
    sample: Sequence[Contact]


async def fits(session: AsyncSession, app_id: UUID, contact_id: UUID, condition: Condition, at: datetime) -> bool:
    """Whether a condition holds for one contact of the app at `at`."""
    this = sa.and_(compiling.where(condition, app_id, at), Contact.id == contact_id)
    return bool(await session.scalar(sa.select(sa.exists().where(this))))


async def preview(session: AsyncSession, app_id: UUID, condition: Condition, at: datetime) -> Preview:
    """Count the contacts of the app for which a condition holds at `at`.

    The transaction is to be one across apps: behind the wall PostgreSQL asks JSON, lists and patterns of every contact
    without an index (docs/decisions/0007). The expression names the app everywhere.
    """
    await compiling.plan_by_values(session)
    fitting = compiling.where(condition, app_id, at)
    count = await session.scalar(sa.select(sa.func.count()).select_from(Contact).where(fitting)) or 0
    found = await session.scalars(_some(fitting, many=count > MANY)) if count else ()
    return Preview(count, sorted(found, key=lambda contact: contact.id))


def _some(fitting: sa.ColumnElement[bool], *, many: bool) -> sa.Select[Contact]:
    """Some that fit: of many the first that come along, of few those that the way of the count finds.

    PostgreSQL takes the first way on its own, and looks at all contacts where it believes few to be many.
    """
    if many:
        return sa.select(Contact).where(fitting).limit(SAMPLE)
    fenced = sa.select(Contact.id).where(fitting).cte("fitting").prefix_with("MATERIALIZED")
    return sa.select(Contact).where(Contact.id.in_(sa.select(fenced.c.id).limit(SAMPLE)))
