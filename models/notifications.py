"""What the people of a team are told of, how each wants to be told, and which mails are due for it."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Model, Record, app_key


class NotificationType(StrEnum):
    """What a notification tells of; what each is stands in domain/notifications/types.py."""

    NEW_MESSAGE = "NEW_MESSAGE"
    UNASSIGNED_MESSAGE = "UNASSIGNED_MESSAGE"
    CONVERSATION_ASSIGNED = "CONVERSATION_ASSIGNED"
    MENTION = "MENTION"
    BROADCAST_SENT = "BROADCAST_SENT"
    BROADCAST_FAILED = "BROADCAST_FAILED"
    WORKFLOW_FAILED = "WORKFLOW_FAILED"
    WEBHOOK_DISABLED = "WEBHOOK_DISABLED"


class EmailMode(StrEnum):
    """Whether notifications of a type go by e-mail too."""

    OFF = "OFF"
    AT_ONCE = "AT_ONCE"
    DIGEST = "DIGEST"


class DigestPeriod(StrEnum):
    """How often what goes by digest is gathered into a mail."""

    HOURLY = "HOURLY"
    DAILY = "DAILY"


def _with_member() -> sa.ForeignKeyConstraint:
    """The row goes when they leave the app."""
    key = ["app_id", "user_id"]
    return sa.ForeignKeyConstraint(key, [f"memberships.{name}" for name in key], ondelete="CASCADE")


class Notification(Record):
    """Something that a person of a team is told of. It holds no text: what it is about is read when it is shown.

    Attributes:
        entity_id: what it is about: a conversation, a broadcast, a workflow, a webhook.
        conversation_id: the conversation, if it is one; the notification goes with it.
        message_id: the newest message or note that it is about.
        actor: who did the newest of it, as in `models.facts`.
        count: how often it has happened while the notification was unread.
        in_app: whether it is listed; one that only goes by mail is not.
        grows: whether what happens next to the same thing is counted here. One is at most; once read it never is again.
        last_at: when it happened last; orders the list.
        unmailed: whether something has happened that no mail has told.
        emailed_at: when a mail told of it last.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        _with_member(),
        sa.Index(
            "uq_notifications_growing",
            "app_id",
            "user_id",
            "type",
            "entity_id",
            unique=True,
            postgresql_where=sa.text("grows"),
        ),
        sa.Index("ix_notifications_listed", "app_id", "user_id", "archived", "last_at", "id"),
        sa.Index(
            "ix_notifications_unread",
            "app_id",
            "user_id",
            "last_at",
            "id",
            postgresql_where=sa.text("read_at IS NULL"),
        ),
        sa.Index("ix_notifications_conversation_id_user_id", "conversation_id", "user_id"),
        sa.Index("ix_notifications_last_at", "last_at"),
    )

    app_id: Mapped[UUID] = app_key()
    user_id: Mapped[UUID]
    type: Mapped[NotificationType]
    entity_id: Mapped[UUID]
    conversation_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("conversations.id", ondelete="CASCADE"))
    message_id: Mapped[UUID | None]
    actor: Mapped[str]
    count: Mapped[int] = mapped_column(default=1)
    in_app: Mapped[bool] = mapped_column(default=True)
    grows: Mapped[bool] = mapped_column(default=True)
    last_at: Mapped[datetime]
    read_at: Mapped[datetime | None]
    archived: Mapped[bool] = mapped_column(default=False)
    unmailed: Mapped[bool] = mapped_column(default=True)
    emailed_at: Mapped[datetime | None]


class NotificationPreference(Model):
    """How somebody wants to be told of one type of things; without a row it is as the type says."""

    __tablename__ = "notification_preferences"
    __table_args__ = (_with_member(),)

    app_id: Mapped[UUID] = app_key(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    type: Mapped[NotificationType] = mapped_column(primary_key=True)
    in_app: Mapped[bool]
    email: Mapped[EmailMode]


class NotificationDigest(Model):
    """When somebody wants their digests; without a row it is daily at 8:00 UTC.

    Attributes:
        hour: of the day, 0 to 23, in `time_zone`; for those of DAILY.
        time_zone: an IANA name.
    """

    __tablename__ = "notification_digests"
    __table_args__ = (_with_member(),)

    app_id: Mapped[UUID] = app_key(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    period: Mapped[DigestPeriod]
    hour: Mapped[int]
    time_zone: Mapped[str]


class NotificationMailing(Model):
    """A mail that is due to somebody, if anything is still unread by then. One of each mode at most.

    Attributes:
        mode: AT_ONCE or DIGEST.
    """

    __tablename__ = "notification_mailings"
    __table_args__ = (_with_member(), sa.Index("ix_notification_mailings_due_at", "due_at"))

    app_id: Mapped[UUID] = app_key(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    mode: Mapped[EmailMode] = mapped_column(primary_key=True)
    due_at: Mapped[datetime]
