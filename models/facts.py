"""What happened, written in the transaction that made it happen."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Record, app_key


class FactKind(StrEnum):
    """The vocabulary of facts: noun, dot, past tense."""

    APP_CREATED = "app.created"
    SESSION_STARTED = "session.started"
    SESSION_REVOKED = "session.revoked"
    CONTACT_CREATED = "contact.created"
    CONTACT_UPDATED = "contact.updated"
    CONTACT_DELETED = "contact.deleted"
    DEVICE_REGISTERED = "device.registered"
    BROADCAST_CREATED = "broadcast.created"
    BROADCAST_UPDATED = "broadcast.updated"
    BROADCAST_DELETED = "broadcast.deleted"
    BROADCAST_SCHEDULED = "broadcast.scheduled"
    BROADCAST_STARTED = "broadcast.started"
    BROADCAST_PAUSED = "broadcast.paused"
    BROADCAST_RESUMED = "broadcast.resumed"
    BROADCAST_CANCELLED = "broadcast.cancelled"
    BROADCAST_TESTED = "broadcast.tested"
    BROADCAST_SENT = "broadcast.sent"
    BROADCAST_FAILED = "broadcast.failed"


class Fact(Record):
    """Something that happened to one thing.

    Attributes:
        entity_id: the thing, e.g. the broadcast.
        actor: `user:<id>`, `device:<id>` or `system`.
        data: small and without secrets or message bodies.
        dispatched_at: when its followers had been served, NULL until then; when it was made, if its kind has none.
    """

    __tablename__ = "facts"
    __table_args__ = (
        sa.Index("ix_facts_undispatched", "created_at", postgresql_where=sa.text("dispatched_at IS NULL")),
        sa.Index("ix_facts_dispatched", "created_at", postgresql_where=sa.text("dispatched_at IS NOT NULL")),
    )

    app_id: Mapped[UUID] = app_key()
    kind: Mapped[FactKind]
    entity_id: Mapped[UUID]
    actor: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    dispatched_at: Mapped[datetime | None]
