"""Words by which a team sorts its conversations."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.clock import now
from models.base import Model, Record, app_key
from models.conversations import ConversationStatus


class Label(Record):
    """A label. Its name is unique in the app, whatever the case of its letters; the colour is #RRGGBB."""

    __tablename__ = "labels"
    __table_args__ = (
        sa.Index("ix_labels_app_id_id", "app_id", "id"),
        sa.Index("uq_labels_app_id_name", "app_id", sa.text("lower(name)"), unique=True),
    )

    app_id: Mapped[UUID] = app_key()
    name: Mapped[str]
    colour: Mapped[str]
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class ConversationLabel(Model):
    """A label on a conversation.

    It repeats by what the conversations of a label are listed, so that they are read in order from one index.
    """

    __tablename__ = "conversation_labels"
    __table_args__ = (
        sa.Index("ix_conversation_labels_listed", "label_id", "status", "last_activity_at", "conversation_id"),
    )

    conversation_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True
    )
    label_id: Mapped[UUID] = mapped_column(sa.ForeignKey("labels.id", ondelete="CASCADE"), primary_key=True)
    app_id: Mapped[UUID] = app_key()
    status: Mapped[ConversationStatus]
    last_activity_at: Mapped[datetime]
