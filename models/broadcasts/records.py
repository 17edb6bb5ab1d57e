"""A message to many, the row of each recipient, and the batches in which it is sent."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.clock import now
from models.base import Model, Record, app_key
from models.channels import ChannelKind
from models.devices import Platform


class TargetType(StrEnum):
    """Whom a broadcast is for."""

    ALL_USERS = "ALL_USERS"
    SEGMENT = "SEGMENT"
    SPECIFIC_USERS = "SPECIFIC_USERS"


class BroadcastStatus(StrEnum):
    """Where a broadcast stands."""

    DRAFT = "DRAFT"
    SCHEDULED = "SCHEDULED"
    SENDING = "SENDING"
    PAUSED = "PAUSED"
    SENT = "SENT"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class RecipientStatus(StrEnum):
    """Where one recipient stands; it only moves forward, in this order. SENDING is shown, and never written."""

    PENDING = "PENDING"
    DEFERRED = "DEFERRED"
    SENDING = "SENDING"
    UNCERTAIN = "UNCERTAIN"
    SENT = "SENT"
    DELIVERED = "DELIVERED"
    OPENED = "OPENED"
    CLICKED = "CLICKED"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"


class ChunkStatus(StrEnum):
    """Where a batch stands: ready for a worker, owned by one, waiting for deferred recipients, or through."""

    READY = "READY"
    LEASED = "LEASED"
    WAITING = "WAITING"
    DONE = "DONE"


class Redo(StrEnum):
    """What an operator wants done again with the recipients of a batch: those that failed, or are uncertain."""

    FAILED = "FAILED"
    UNCERTAIN = "UNCERTAIN"
    UNCERTAIN_AS_SENT = "UNCERTAIN_AS_SENT"


class QuietPolicy(StrEnum):
    """What becomes of a recipient in whose time zone it is quiet time."""

    DEFER = "DEFER"
    SKIP = "SKIP"
    IGNORE = "IGNORE"


class WinnerMetric(StrEnum):
    """By what the variants of a broadcast are compared."""

    OPENED = "OPENED"
    CLICKED = "CLICKED"


class Broadcast(Record):
    """A message to many.

    Attributes:
        contact_ids: for SPECIFIC_USERS, the contacts.
        sent_at: when sending started. completed_at: when it ended, in whatever way.
        expanded_at: when the last recipient row had been written; nothing is sent before.
        after_contact_id: the last contact whose recipient rows are written.
        due_at: when the clock should wake the expansion again; NULL when there is nothing to wake.
        segment_query, exclude_query: canonical condition trees (`domain.segments`): who it is for with SEGMENT, and who
            is left out of any target. Those of a saved segment are copied when the sending begins.
        channels: by which ways it may go, the preferred one first (`models.channels.ChannelKind`).
        local_at: the wall-clock time, without zone, at which each recipient gets it in their own zone.
        time_zone: the zone of those who have none, and that of `cron`.
        cron: when it repeats; each time a copy is sent, whose `repeats_id` is this broadcast.
        speed: recipients a second at most; NULL is no limit.
        is_test: it is a test of another one, and is listed nowhere.
        variants: up to 8 objects `{name, title, body, weight}`; empty when all get the same.
        test_share: per cent of the recipients that get a variant before the winner is known; 100 when there is none.
        winner: index of the variant that the rest gets; NULL until it is decided, at `winner_due_at`.
        goal_event_name: the event that counts as success, when it comes within `goal_within_hours` after it was sent.
    """

    __tablename__ = "broadcasts"
    __table_args__ = (
        sa.Index("ix_broadcasts_app_id_id", "app_id", "id"),
        sa.Index("ix_broadcasts_app_id_status_id", "app_id", "status", "id"),
        sa.Index("ix_broadcasts_scheduled", "scheduled_at", postgresql_where=sa.text("status = 'SCHEDULED'")),
        sa.Index("ix_broadcasts_sending", "id", postgresql_where=sa.text("status = 'SENDING'")),
        sa.Index("ix_broadcasts_due", "due_at", postgresql_where=sa.text("due_at IS NOT NULL")),
        sa.Index(
            "ix_broadcasts_goal",
            "app_id",
            "goal_event_name",
            "completed_at",
            postgresql_where=sa.text("goal_event_name IS NOT NULL AND sent_at IS NOT NULL"),
        ),
    )

    app_id: Mapped[UUID] = app_key()
    title: Mapped[str]
    body: Mapped[str]
    data: Mapped[dict[str, Any] | None]
    target_type: Mapped[TargetType]
    contact_ids: Mapped[list[UUID]] = mapped_column(default=list)
    segment_id: Mapped[UUID | None]
    segment_query: Mapped[dict[str, Any] | None]
    exclude_segment_id: Mapped[UUID | None]
    exclude_query: Mapped[dict[str, Any] | None]
    channels: Mapped[list[str]] = mapped_column(default=lambda: ["IN_APP"], server_default="{IN_APP}")
    local_at: Mapped[datetime | None] = mapped_column(sa.TIMESTAMP(timezone=False))
    time_zone: Mapped[str] = mapped_column(default="UTC", server_default="UTC")
    cron: Mapped[str | None]
    repeats_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("broadcasts.id", ondelete="SET NULL"))
    quiet_policy: Mapped[QuietPolicy] = mapped_column(default=QuietPolicy.DEFER, server_default="DEFER")
    ignores_cap: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    speed: Mapped[int | None]
    is_test: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    variants: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, default=list, server_default="[]")
    test_share: Mapped[int] = mapped_column(default=100, server_default="100")
    winner_metric: Mapped[WinnerMetric] = mapped_column(default=WinnerMetric.OPENED, server_default="OPENED")
    winner_after_minutes: Mapped[int] = mapped_column(default=60, server_default="60")
    winner_due_at: Mapped[datetime | None]
    winner: Mapped[int | None]
    goal_event_name: Mapped[str | None]
    goal_within_hours: Mapped[int | None]
    status: Mapped[BroadcastStatus] = mapped_column(default=BroadcastStatus.DRAFT)
    scheduled_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    expanded_at: Mapped[datetime | None]
    after_contact_id: Mapped[UUID | None]
    due_at: Mapped[datetime | None]
    total_recipients: Mapped[int] = mapped_column(default=0, server_default="0")
    error_message: Mapped[str | None]
    created_by_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("admin_users.id", ondelete="SET NULL"))
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class BroadcastRecipient(Model):
    """One device or mailbox that a broadcast goes to, written before anything is sent. Numbered from 1 within it.

    It keeps what it knew of the device and outlives it. No index covers a column that changes while sending.

    Attributes:
        device_id, platform: NULL when it goes to the contact's e-mail address.
        variant: index of the variant; NULL when there is none, or while it waits for the winner.
        channel: by which way it went; NULL until then.
        error_code: why it is DEFERRED, UNCERTAIN, SKIPPED or FAILED.
        attempts: how often a channel has said: later.
        provider_id: what the provider calls the message.
        converted_at: when the contact tracked the event that is the goal.
    """

    __tablename__ = "broadcast_recipients"
    __table_args__ = (
        sa.UniqueConstraint("broadcast_id", "device_id"),
        sa.Index(
            "uq_broadcast_recipients_mailbox",
            "broadcast_id",
            "contact_id",
            unique=True,
            postgresql_where=sa.text("device_id IS NULL"),
        ),
        sa.Index("ix_broadcast_recipients_contact_id_broadcast_id", "contact_id", "broadcast_id"),
        {"postgresql_with": {"fillfactor": 50}},
    )

    broadcast_id: Mapped[UUID] = mapped_column(sa.ForeignKey("broadcasts.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    device_id: Mapped[UUID | None]
    contact_id: Mapped[UUID]
    platform: Mapped[Platform | None]
    country: Mapped[str | None]
    time_zone: Mapped[str | None]
    status: Mapped[RecipientStatus] = mapped_column(default=RecipientStatus.PENDING)
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    opened_at: Mapped[datetime | None]
    clicked_at: Mapped[datetime | None]
    machine_opened_at: Mapped[datetime | None]
    converted_at: Mapped[datetime | None]
    error_code: Mapped[str | None]
    variant: Mapped[int | None] = mapped_column(sa.SmallInteger)
    channel: Mapped[ChannelKind | None]
    deferred_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(sa.SmallInteger, default=0, server_default="0")
    provider_id: Mapped[str | None]


class BroadcastChunk(Model):
    """A run of recipients that one worker sends at a time.

    Attributes:
        due_at: when the clock should wake it (again), or while WAITING when the first deferred recipient is due; NULL
            when it is not its turn yet, or all is done.
        fence: grows at each claim; who writes with an older one has lost the batch.
        inflight_lo, inflight_hi: the recipients about to be sent, committed before a channel is called.
        blind: those among them that go to a provider which would send them again: after a crash nobody knows about
            them, and they are UNCERTAIN.
        redo: what an operator wants done again; the next owner does it.
        sent, failed, skipped, uncertain: how many of it ended so.
    """

    __tablename__ = "broadcast_chunks"
    __table_args__ = (
        sa.Index("ix_broadcast_chunks_due", "due_at", postgresql_where=sa.text("due_at IS NOT NULL")),
        {"postgresql_with": {"fillfactor": 50}},
    )

    broadcast_id: Mapped[UUID] = mapped_column(sa.ForeignKey("broadcasts.id", ondelete="CASCADE"), primary_key=True)
    no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    lo_seq: Mapped[int]
    hi_seq: Mapped[int]
    status: Mapped[ChunkStatus] = mapped_column(default=ChunkStatus.READY)
    due_at: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(default=0, server_default="0")
    lease_until: Mapped[datetime | None]
    inflight_lo: Mapped[int | None]
    inflight_hi: Mapped[int | None]
    blind: Mapped[list[int]] = mapped_column(sa.ARRAY(sa.Integer), default=list, server_default="{}")
    redo: Mapped[Redo | None]
    sent: Mapped[int] = mapped_column(default=0, server_default="0")
    failed: Mapped[int] = mapped_column(default=0, server_default="0")
    skipped: Mapped[int] = mapped_column(default=0, server_default="0")
    uncertain: Mapped[int] = mapped_column(default=0, server_default="0")
