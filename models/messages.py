"""What is said in a conversation, and what the team notes beside it."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from models.base import PERSONAL, Record, app_key
from models.channels import ChannelKind
from models.conversations import Direction


class MessageStatus(StrEnum):
    """How far a message has come. It only goes forward."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    DELIVERED = "DELIVERED"
    READ = "READ"
    FAILED = "FAILED"


class AuthorKind(StrEnum):
    """Who wrote a message."""

    USER = "USER"
    KEY = "KEY"
    DEVICE = "DEVICE"
    CONTACT = "CONTACT"
    SYSTEM = "SYSTEM"


class Message(Record):
    """A message or a private note. Those of a conversation stand in the order of `created_at`, each later by itself.

    Attributes:
        is_note: for the team alone; the contact never sees it.
        author_id: the AdminUser, ApiKey, Device or Contact that `author_kind` says; it may be gone by now.
        client_key: the author's own name for it, by which one that is sent twice is written once.
        provider_id: the channel's name for it.
        mentioned_ids: people of the team whom a note calls.
        failure: why it could not be sent, a stable code.
        deleted_at: its text is gone since.
    """

    __tablename__ = "messages"
    __table_args__ = (
        sa.Index("ix_messages_conversation_id_created_at_id", "conversation_id", "created_at", "id"),
        sa.Index(
            "ix_messages_inbound",
            "conversation_id",
            "created_at",
            postgresql_where=sa.text("direction = 'INBOUND'"),
        ),
        sa.Index(
            "uq_messages_client_key",
            "author_id",
            "client_key",
            unique=True,
            postgresql_where=sa.text("client_key IS NOT NULL"),
        ),
        sa.Index(
            "uq_messages_provider_id",
            "app_id",
            "channel",
            "provider_id",
            unique=True,
            postgresql_where=sa.text("provider_id IS NOT NULL"),
        ),
        sa.Index("ix_messages_search", "app_id", "search", postgresql_using="gin"),
        {"postgresql_with": {"fillfactor": 90}},
    )

    app_id: Mapped[UUID] = app_key()
    conversation_id: Mapped[UUID] = mapped_column(sa.ForeignKey("conversations.id", ondelete="CASCADE"))
    channel: Mapped[ChannelKind]
    direction: Mapped[Direction]
    is_note: Mapped[bool] = mapped_column(default=False)
    author_kind: Mapped[AuthorKind]
    author_id: Mapped[UUID | None]
    body: Mapped[str] = mapped_column(info=PERSONAL)
    client_key: Mapped[str | None]
    provider_id: Mapped[str | None]
    mentioned_ids: Mapped[list[UUID]] = mapped_column(default=list)
    status: Mapped[MessageStatus]
    failure: Mapped[str | None]
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    edited_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    search: Mapped[str] = mapped_column(
        TSVECTOR, sa.Computed("to_tsvector('simple'::regconfig, body)", persisted=True), deferred=True
    )


class MessageRevision(Record):
    """What a message said before it was edited at `created_at`, and who edited it; gone when the message is deleted."""

    __tablename__ = "message_revisions"

    app_id: Mapped[UUID] = app_key()
    message_id: Mapped[UUID] = mapped_column(sa.ForeignKey("messages.id", ondelete="CASCADE"), index=True)
    body: Mapped[str] = mapped_column(info=PERSONAL)
    actor: Mapped[str]
