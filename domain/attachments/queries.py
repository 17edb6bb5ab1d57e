"""Finding attachments."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import NotFound
from domain.principals import Principal
from models.attachments import Attachment


async def get(session: AsyncSession, principal: Principal, attachment_id: UUID) -> Attachment:
    """One whole attachment of the app; a device finds those alone that it has uploaded.

    Raises:
        NotFound: there is none.
    """
    own = Attachment.uploader == principal.actor if principal.device_id else sa.true()
    return await _one(session, sa.and_(_is(principal.app_id, attachment_id), own))


async def shown(session: AsyncSession, app_id: UUID, attachment_id: UUID) -> Attachment:
    """One whole attachment, for whoever has its address.

    Raises:
        NotFound: it is gone.
    """
    return await _one(session, _is(app_id, attachment_id))


async def of_messages(session: AsyncSession, message_ids: Sequence[UUID]) -> dict[UUID, list[Attachment]]:
    """The attachments of each of some messages, in their order; of one that has none, nothing."""
    rows = sa.select(Attachment).where(Attachment.message_id.in_(message_ids))
    found: defaultdict[UUID | None, list[Attachment]] = defaultdict(list)
    for row in await session.scalars(rows.order_by(Attachment.message_id, Attachment.position)):
        found[row.message_id].append(row)
    return {id_: attached for id_, attached in found.items() if id_}


def _is(app_id: UUID, attachment_id: UUID) -> sa.ColumnElement[bool]:
    whole = Attachment.stored_at.is_not(None)
    return sa.and_(Attachment.app_id == app_id, Attachment.id == attachment_id, whole)


async def _one(session: AsyncSession, condition: sa.ColumnElement[bool]) -> Attachment:
    row = await session.scalar(sa.select(Attachment).where(condition))
    if row is None:
        raise NotFound("There is no such attachment.", field="id")
    return row
