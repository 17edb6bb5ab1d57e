"""Files that belong to messages."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import PERSONAL, Record, app_key


class AttachmentKind(StrEnum):
    """How a file is shown."""

    IMAGE = "IMAGE"
    VIDEO = "VIDEO"
    AUDIO = "AUDIO"
    DOCUMENT = "DOCUMENT"


class Attachment(Record):
    """A file. Its row is there before its object, and goes after it: no object is left that nobody knows of.

    Attributes:
        uploader: `user:<id>`, `key:<id>` or `device:<id>`; nobody else may attach it.
        size: in bytes.
        sha256: of the contents, in hexadecimal digits.
        file_name: as it is offered for saving, with an extension of its type.
        width, height: of an image, in pixels, when its header tells.
        storage_key: where its object is.
        stored_at: when its object was complete; NULL while it is being written, or was given up.
        message_id: the message that it belongs to; without one, as when that is erased, it goes after a day.
        position: its place in the message, from 0.
    """

    __tablename__ = "attachments"
    __table_args__ = (
        sa.Index("ix_attachments_message_id", "message_id", postgresql_where=sa.text("message_id IS NOT NULL")),
        sa.Index("ix_attachments_loose", "created_at", postgresql_where=sa.text("message_id IS NULL")),
    )

    app_id: Mapped[UUID] = app_key()
    uploader: Mapped[str]
    kind: Mapped[AttachmentKind]
    content_type: Mapped[str]
    size: Mapped[int] = mapped_column(sa.BigInteger)
    sha256: Mapped[str]
    file_name: Mapped[str] = mapped_column(info=PERSONAL)
    width: Mapped[int | None]
    height: Mapped[int | None]
    storage_key: Mapped[str]
    stored_at: Mapped[datetime | None]
    message_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("messages.id", ondelete="SET NULL"))
    position: Mapped[int | None] = mapped_column(sa.SmallInteger)
