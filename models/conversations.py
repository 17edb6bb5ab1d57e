"""The inbox: what a contact and the team say to each other by one channel."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.clock import now
from models.base import PERSONAL, Model, Record, app_key
from models.channels import ChannelKind


class ConversationStatus(StrEnum):
    """Where a conversation stands."""

    OPEN = "OPEN"
    PENDING = "PENDING"
    SNOOZED = "SNOOZED"
    RESOLVED = "RESOLVED"
    SPAM = "SPAM"


class Priority(StrEnum):
    """How urgent a conversation is."""

    NONE = "NONE"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    URGENT = "URGENT"


URGENCY = sa.text("array_position(ARRAY['URGENT', 'HIGH', 'MEDIUM', 'LOW', 'NONE'], priority::text)")
"""Of a conversation: 1 is the most urgent. Written out, so that the index in this order is found."""


class Direction(StrEnum):
    """Who a message is from: the contact, or the team."""

    INBOUND = "INBOUND"
    OUTBOUND = "OUTBOUND"


class Conversation(Record):
    """A conversation. A contact has one at most by each channel that is neither resolved nor spam.

    Attributes:
        assignee_id: who of the team answers.
        queued_at: since when it waits for somebody to be assigned; None when it does not.
        waiting_since: the contact's first message that the team has not answered.
        first_response_at: the first answer that a person gave.
        last_message_id: the newest message that the contact may see, with what follows of it.
        last_inbound_at: when the contact last wrote.
        last_activity_at: orders lists: the newest message or note, or when it was opened or came back.
        message_count: of the messages that the contact may see.
        previous_id: the older conversation that it goes on with.
        version: grows with every change.
        contact_read_at: up to here the contact has read; the instant of `contact_read_message_id`.
    """

    __tablename__ = "conversations"
    __table_args__ = (
        sa.Index("ix_conversations_activity", "app_id", "last_activity_at", "id"),
        sa.Index("ix_conversations_status", "app_id", "status", "last_activity_at", "id"),
        sa.Index("ix_conversations_assignee", "app_id", "assignee_id", "status", "last_activity_at", "id"),
        sa.Index("ix_conversations_channel", "app_id", "channel", "status", "last_activity_at", "id"),
        sa.Index("ix_conversations_priority", "app_id", "priority", "status", "last_activity_at", "id"),
        sa.Index("ix_conversations_contact_id_channel_id", "contact_id", "channel", "id"),
        sa.Index(
            "uq_conversations_open",
            "app_id",
            "contact_id",
            "channel",
            unique=True,
            postgresql_where=sa.text("status NOT IN ('RESOLVED', 'SPAM')"),
        ),
        sa.Index("ix_conversations_snoozed", "snoozed_until", postgresql_where=sa.text("status = 'SNOOZED'")),
        sa.Index(
            "ix_conversations_queue",
            "app_id",
            URGENCY,
            "waiting_since",
            "id",
            postgresql_where=sa.text("queued_at IS NOT NULL"),
        ),
        sa.Index("ix_conversations_assignee_id", "assignee_id", postgresql_where=sa.text("assignee_id IS NOT NULL")),
        sa.Index("ix_conversations_previous_id", "previous_id", postgresql_where=sa.text("previous_id IS NOT NULL")),
    )

    app_id: Mapped[UUID] = app_key()
    contact_id: Mapped[UUID] = mapped_column(sa.ForeignKey("contacts.id", ondelete="CASCADE"))
    channel: Mapped[ChannelKind]
    status: Mapped[ConversationStatus] = mapped_column(default=ConversationStatus.OPEN)
    snoozed_until: Mapped[datetime | None]
    priority: Mapped[Priority] = mapped_column(default=Priority.NONE)
    assignee_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("admin_users.id", ondelete="SET NULL"))
    queued_at: Mapped[datetime | None]
    waiting_since: Mapped[datetime | None]
    first_response_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    last_message_id: Mapped[UUID | None]
    last_message_preview: Mapped[str | None] = mapped_column(info=PERSONAL)
    last_message_direction: Mapped[Direction | None]
    last_message_at: Mapped[datetime | None]
    last_inbound_at: Mapped[datetime | None]
    last_activity_at: Mapped[datetime] = mapped_column(default=now)
    message_count: Mapped[int] = mapped_column(default=0, server_default="0")
    previous_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("conversations.id", ondelete="SET NULL"))
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    contact_read_message_id: Mapped[UUID | None]
    contact_read_at: Mapped[datetime | None]


class ConversationRead(Model):
    """How far somebody of the team has read a conversation; who has no row has read nothing.

    Attributes:
        read_at: the instant of the newest message read, or the one before the oldest that is to be unread.
    """

    __tablename__ = "conversation_reads"

    conversation_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("admin_users.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    app_id: Mapped[UUID] = app_key()
    last_read_message_id: Mapped[UUID | None]
    read_at: Mapped[datetime]
