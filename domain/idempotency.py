"""A request that comes twice with the same key is done once."""

import hashlib
import json
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import IdempotencyKeyReused
from domain import checks
from models.idempotency import IdempotencyKey


async def claim(
    session: AsyncSession, app_id: UUID, key: str | None, request: dict[str, Any], entity_id: UUID
) -> UUID | None:
    """None when this request is new (or has no key); else the id of the thing that its first arrival made or changed.

    A twin that is under way at the same time is waited for: the unique key holds the second until the first commits.

    Raises:
        IdempotencyKeyReused: the key came before with another request.
    """
    if key is None:
        return None
    values = {"app_id": app_id, "key": checks.text(key, "idempotencyKey", most=200)}
    digest = hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode()).hexdigest()
    fresh = insert(IdempotencyKey).values(**values, request_hash=digest, entity_id=entity_id)
    if await session.scalar(fresh.on_conflict_do_nothing().returning(IdempotencyKey.key)):
        return None
    known = (await session.scalars(sa.select(IdempotencyKey).filter_by(**values))).one()
    if known.request_hash != digest:
        raise IdempotencyKeyReused(
            "This idempotencyKey was used for another request; take a new one.", field="idempotencyKey"
        )
    return known.entity_id
