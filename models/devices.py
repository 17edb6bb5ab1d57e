"""Where messages reach a contact."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import SECRET, Record, app_key


class Platform(StrEnum):
    """What kind of device it is."""

    IOS = "IOS"
    ANDROID = "ANDROID"
    WEB = "WEB"
    WHATSAPP = "WHATSAPP"


class Device(Record):
    """A contact's phone, browser or WhatsApp number.

    `message_sequence` is the number of the newest in-app message; it grows by one with each.
    """

    __tablename__ = "devices"
    __table_args__ = (
        sa.Index("ix_devices_app_id_id", "app_id", "id"),
        {"postgresql_with": {"fillfactor": 70}},
    )

    app_id: Mapped[UUID] = app_key()
    contact_id: Mapped[UUID] = mapped_column(sa.ForeignKey("contacts.id", ondelete="CASCADE"), index=True)
    platform: Mapped[Platform]
    push_token: Mapped[str | None] = mapped_column(info=SECRET)
    app_version: Mapped[str | None]
    country: Mapped[str | None]
    last_seen_at: Mapped[datetime | None]
    message_sequence: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
