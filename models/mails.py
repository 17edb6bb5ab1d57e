"""E-mails of the product itself to people of a team, kept until they are sent."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import ENCRYPTED, Record


class MailStatus(StrEnum):
    """Where an e-mail stands."""

    PENDING = "PENDING"
    SENT = "SENT"
    FAILED = "FAILED"


class Mail(Record):
    """An e-mail to one person.

    Attributes:
        app_id: the app it is about; None when it is about an account.
        body: plain text, encrypted, as it may hold a link that works once; NULL once it is sent or given up.
        due_at: when it is tried (again); NULL when it is through.
        lease_until: until when a worker has it in hand.
    """

    __tablename__ = "mails"
    __table_args__ = (
        sa.Index("ix_mails_due", "due_at", postgresql_where=sa.text("due_at IS NOT NULL")),
        sa.Index("ix_mails_created_at", "created_at"),
    )

    app_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("apps.id", ondelete="CASCADE"))
    recipient: Mapped[str]
    subject: Mapped[str]
    body: Mapped[str | None] = mapped_column(info=ENCRYPTED)
    status: Mapped[MailStatus] = mapped_column(default=MailStatus.PENDING)
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    due_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    error: Mapped[str | None]
