"""What the audit log tells of something."""

from uuid import UUID

import sqlalchemy as sa

from core.database import transaction
from models.audit import AuditEntry


async def entries(entity_id: UUID) -> list[AuditEntry]:
    """The entries about one thing, oldest first."""
    async with transaction() as session:
        own = sa.select(AuditEntry).where(AuditEntry.entity_id == entity_id).order_by(AuditEntry.id)
        return list(await session.scalars(own))


async def actions(entity_id: UUID) -> list[str]:
    return [entry.action for entry in await entries(entity_id)]
