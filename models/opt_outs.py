"""Who does not want to be written to."""

from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import PERSONAL, Record, app_key
from models.channels import ChannelKind


class OptOutReason(StrEnum):
    """How somebody opted out."""

    UNSUBSCRIBED = "UNSUBSCRIBED"
    STOP_WORD = "STOP_WORD"
    COMPLAINED = "COMPLAINED"
    MANUAL = "MANUAL"
    IMPORTED = "IMPORTED"


class OptOut(Record):
    """A contact does not want to be written to by a channel; `channel` NULL: by none at all."""

    __tablename__ = "opt_outs"
    __table_args__ = (sa.UniqueConstraint("contact_id", "channel", postgresql_nulls_not_distinct=True),)

    app_id: Mapped[UUID] = app_key()
    contact_id: Mapped[UUID] = mapped_column(sa.ForeignKey("contacts.id", ondelete="CASCADE"))
    channel: Mapped[ChannelKind | None]
    reason: Mapped[OptOutReason]
    note: Mapped[str | None] = mapped_column(info=PERSONAL)
