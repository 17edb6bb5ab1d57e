"""Who did what: written in the transaction of the change, never changed afterwards."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.clock import now
from core.ids import new_id
from models.base import Model


class AuditEntry(Model):
    """One thing that somebody did. No foreign keys: it outlives whatever it tells of.

    The table has a partition for each month. PostgreSQL refuses to change or delete a row.

    Attributes:
        app_id: the tenant; None for what belongs to none, such as a failed sign-in.
        actor: `user:<id>`, `key:<id>`, `device:<id>`, `contact:<id>`, `system` or `nobody`.
        request_id: the id that the request's answer and its logs carry.
        action: a kind of fact, e.g. `broadcast.updated`.
        entity: what kind of thing it was done to, e.g. `Broadcast`.
        before, after: the columns that changed, secrets masked, long texts cut.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (
        sa.Index("ix_audit_entries_app_id_id", "app_id", "id"),
        sa.Index("ix_audit_entries_app_id_entity_id_id", "app_id", "entity_id", "id"),
        {"postgresql_partition_by": "RANGE (created_at)"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    created_at: Mapped[datetime] = mapped_column(primary_key=True, default=now, server_default=sa.func.now())
    app_id: Mapped[UUID | None]
    actor: Mapped[str]
    session_id: Mapped[UUID | None]
    ip: Mapped[str | None]
    request_id: Mapped[str | None]
    action: Mapped[str]
    entity: Mapped[str]
    entity_id: Mapped[UUID | None]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
