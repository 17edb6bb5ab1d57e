"""Named choices among the contacts of an app."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.clock import now
from models.base import Record, app_key


class Segment(Record):
    """A saved condition on contacts. Its name is unique in the app, whatever the case of its letters.

    Attributes:
        conditions: the tree in its canonical form, as `domain.segments.conditions.dump` writes it.
    """

    __tablename__ = "segments"
    __table_args__ = (
        sa.Index("ix_segments_app_id_id", "app_id", "id"),
        sa.Index("uq_segments_app_id_name", "app_id", sa.text("lower(name)"), unique=True),
    )

    app_id: Mapped[UUID] = app_key()
    name: Mapped[str]
    description: Mapped[str | None]
    conditions: Mapped[dict[str, Any]]
    created_by_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("admin_users.id", ondelete="SET NULL"))
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
