"""A message to many, the row of each recipient, and the batches in which it is sent."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.clock import now
from models.base import Model, Record, app_key
from models.devices import Platform

TALLY_SHARDS = 16


class TargetType(StrEnum):
    """Whom a broadcast is for."""

    ALL_USERS = "ALL_USERS"
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
    """Where one recipient stands; it only moves forward."""

    PENDING = "PENDING"
    SENT = "SENT"
    DELIVERED = "DELIVERED"
    OPENED = "OPENED"
    CLICKED = "CLICKED"
    FAILED = "FAILED"


class ChunkStatus(StrEnum):
    """Where a batch stands: waiting for a worker, owned by one, or through."""

    READY = "READY"
    LEASED = "LEASED"
    DONE = "DONE"


class Broadcast(Record):
    """A message to many.

    Attributes:
        contact_ids: for SPECIFIC_USERS, the contacts.
        sent_at: when sending started. completed_at: when it ended, in whatever way.
        expanded_at: when the last recipient row had been written; nothing is sent before.
        cursor: the last device that has its recipient row.
        due_at: when the clock should wake the expansion again; NULL when there is nothing to wake.
    """

    __tablename__ = "broadcasts"
    __table_args__ = (
        sa.Index("ix_broadcasts_app_id_id", "app_id", "id"),
        sa.Index("ix_broadcasts_app_id_status_id", "app_id", "status", "id"),
        sa.Index("ix_broadcasts_scheduled", "scheduled_at", postgresql_where=sa.text("status = 'SCHEDULED'")),
        sa.Index("ix_broadcasts_sending", "id", postgresql_where=sa.text("status = 'SENDING'")),
        sa.Index("ix_broadcasts_due", "due_at", postgresql_where=sa.text("due_at IS NOT NULL")),
    )

    app_id: Mapped[UUID] = app_key()
    title: Mapped[str]
    body: Mapped[str]
    data: Mapped[dict[str, Any] | None]
    target_type: Mapped[TargetType]
    contact_ids: Mapped[list[UUID]] = mapped_column(default=list)
    status: Mapped[BroadcastStatus] = mapped_column(default=BroadcastStatus.DRAFT)
    scheduled_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    expanded_at: Mapped[datetime | None]
    cursor: Mapped[UUID | None]
    due_at: Mapped[datetime | None]
    total_recipients: Mapped[int] = mapped_column(default=0, server_default="0")
    error_message: Mapped[str | None]
    created_by_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("admin_users.id", ondelete="SET NULL"))
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class BroadcastRecipient(Model):
    """One device that a broadcast goes to, written before anything is sent. Numbered from 1 within the broadcast.

    It keeps what it knew of the device and outlives it. No index covers a column that changes while sending.
    """

    __tablename__ = "broadcast_recipients"
    __table_args__ = (
        sa.UniqueConstraint("broadcast_id", "device_id"),
        {"postgresql_with": {"fillfactor": 50}},
    )

    broadcast_id: Mapped[UUID] = mapped_column(sa.ForeignKey("broadcasts.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    device_id: Mapped[UUID]
    contact_id: Mapped[UUID]
    platform: Mapped[Platform]
    country: Mapped[str | None]
    time_zone: Mapped[str | None]
    status: Mapped[RecipientStatus] = mapped_column(default=RecipientStatus.PENDING)
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    opened_at: Mapped[datetime | None]
    clicked_at: Mapped[datetime | None]
    error_code: Mapped[str | None]


class BroadcastChunk(Model):
    """A run of recipients that one worker sends at a time.

    Attributes:
        due_at: when the clock should wake it (again); NULL when it is not its turn yet, or all is done.
        fence: grows at each claim; who writes with an older one has lost the batch.
        inflight_lo, inflight_hi: the recipients about to be sent, committed before the channel is called. The in-app
            channel knows a repeated send by its key; what cannot will be settled by them.
        sent, failed: how many of it ended so.
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
    sent: Mapped[int] = mapped_column(default=0, server_default="0")
    failed: Mapped[int] = mapped_column(default=0, server_default="0")


class BroadcastTally(Model):
    """What devices reported, counted in a few rows a broadcast so that reports do not queue on one."""

    __tablename__ = "broadcast_tallies"
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)

    broadcast_id: Mapped[UUID] = mapped_column(sa.ForeignKey("broadcasts.id", ondelete="CASCADE"), primary_key=True)
    shard: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    delivered: Mapped[int] = mapped_column(default=0, server_default="0")
    opened: Mapped[int] = mapped_column(default=0, server_default="0")
    clicked: Mapped[int] = mapped_column(default=0, server_default="0")
