"""What contacts did, as the app's server and its SDK tell."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import PERSONAL, Record, app_key


class Event(Record):
    """Something that a contact did.

    Attributes:
        occurred_at: when it happened, as told; `created_at` is when it was told.
        key: identity of the telling, unique in the app; None when it was told without one.
    """

    __tablename__ = "events"
    __table_args__ = (
        sa.Index("ix_events_contact_id_name_occurred_at", "contact_id", "name", "occurred_at"),
        sa.Index("ix_events_app_id_name_occurred_at", "app_id", "name", "occurred_at"),
        sa.Index("uq_events_app_id_key", "app_id", "key", unique=True, postgresql_where=sa.text("key IS NOT NULL")),
    )

    app_id: Mapped[UUID] = app_key()
    contact_id: Mapped[UUID] = mapped_column(sa.ForeignKey("contacts.id", ondelete="CASCADE"))
    name: Mapped[str]
    properties: Mapped[dict[str, Any]] = mapped_column(default=dict, info=PERSONAL)
    occurred_at: Mapped[datetime]
    key: Mapped[str | None]
