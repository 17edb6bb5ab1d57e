"""Messages shown inside the app, kept for a device until it has them."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Record, app_key


class InAppMessage(Record):
    """A message for one device.

    The id is derived from `key`, the identity of the send that made it, so that a send done twice writes one row.
    `sequence` orders the messages of a device.
    """

    __tablename__ = "in_app_messages"
    __table_args__ = (
        sa.UniqueConstraint("device_id", "sequence"),
        sa.Index("ix_in_app_messages_created_at", "created_at"),
        sa.Index(
            "ix_in_app_messages_waiting", "device_id", "sequence", postgresql_where=sa.text("delivered_at IS NULL")
        ),
    )

    app_id: Mapped[UUID] = app_key()
    device_id: Mapped[UUID] = mapped_column(sa.ForeignKey("devices.id", ondelete="CASCADE"))
    sequence: Mapped[int] = mapped_column(sa.BigInteger)
    key: Mapped[str]
    title: Mapped[str]
    body: Mapped[str]
    data: Mapped[dict[str, Any] | None]
    delivered_at: Mapped[datetime | None]
    opened_at: Mapped[datetime | None]
    clicked_at: Mapped[datetime | None]
