"""Which requests have been done already, by the key their client gave them."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.clock import now
from models.base import Model, app_key


class IdempotencyKey(Model):
    """A request that was done: its key, what it asked (as a hash) and the thing it made or changed."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (sa.Index("ix_idempotency_keys_created_at", "created_at"),)

    app_id: Mapped[UUID] = app_key(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_hash: Mapped[str]
    entity_id: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(default=now, server_default=sa.func.now())
