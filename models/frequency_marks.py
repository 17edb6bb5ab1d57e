"""What counts towards the frequency cap of an app."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Model, app_key
from models.channels import ChannelKind


class FrequencyMark(Model):
    """A message to a contact that counts towards the cap.

    Attributes:
        key: the identity of the send, across all apps.
        at: when it is sent.
        expires_at: when it leaves the window that the app had then; it is deleted afterwards.
    """

    __tablename__ = "frequency_marks"
    __table_args__ = (sa.Index("ix_frequency_marks_contact_id_at", "contact_id", "at"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    app_id: Mapped[UUID] = app_key()
    contact_id: Mapped[UUID] = mapped_column(sa.ForeignKey("contacts.id", ondelete="CASCADE"))
    channel: Mapped[ChannelKind]
    at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
