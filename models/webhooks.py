"""Webhooks: where an app wants to be told what happened, what is told, and what came of it."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.clock import now
from models.base import ENCRYPTED, PERSONAL, Record, app_key


class WebhookEventType(StrEnum):
    """What can be told. Each is the kind of fact of the same value."""

    CONTACT_CREATED = "contact.created"
    CONTACT_UPDATED = "contact.updated"
    CONTACT_DELETED = "contact.deleted"
    CONTACT_OPTED_OUT = "contact.opted_out"
    CONTACT_OPTED_IN = "contact.opted_in"
    DEVICE_REGISTERED = "device.registered"
    EVENT_TRACKED = "event.tracked"
    BROADCAST_SCHEDULED = "broadcast.scheduled"
    BROADCAST_STARTED = "broadcast.started"
    BROADCAST_PAUSED = "broadcast.paused"
    BROADCAST_RESUMED = "broadcast.resumed"
    BROADCAST_CANCELLED = "broadcast.cancelled"
    BROADCAST_SENT = "broadcast.sent"
    BROADCAST_FAILED = "broadcast.failed"
    CONVERSATION_OPENED = "conversation.opened"
    CONVERSATION_UPDATED = "conversation.updated"
    CONVERSATION_ASSIGNED = "conversation.assigned"
    CONVERSATION_UNASSIGNED = "conversation.unassigned"
    CONVERSATION_SNOOZED = "conversation.snoozed"
    CONVERSATION_REOPENED = "conversation.reopened"
    CONVERSATION_RESOLVED = "conversation.resolved"
    CONVERSATION_LABELLED = "conversation.labelled"
    CONVERSATION_UNLABELLED = "conversation.unlabelled"
    CONVERSATION_DELETED = "conversation.deleted"
    MESSAGE_CREATED = "message.created"
    MESSAGE_UPDATED = "message.updated"
    MESSAGE_DELETED = "message.deleted"
    MESSAGE_RECEIPT_CHANGED = "message.receipt_changed"


class WebhookStop(StrEnum):
    """Why nothing is sent to a webhook."""

    MANUAL = "MANUAL"
    GONE = "GONE"
    FAILING = "FAILING"


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


class DeliveryFailure(StrEnum):
    """What went wrong with a try."""

    BLOCKED_URL = "BLOCKED_URL"
    NOT_CONNECTED = "NOT_CONNECTED"
    NO_ANSWER = "NO_ANSWER"
    REDIRECTED = "REDIRECTED"
    GONE = "GONE"
    REFUSED = "REFUSED"
    WORKER_DIED = "WORKER_DIED"


class Webhook(Record):
    """An address of an app that is told what happens.

    Attributes:
        event_types: values of `WebhookEventType`, in their order.
        header_names: of the headers that go along; their values are encrypted in `headers`, an object as JSON.
        secret: what deliveries are signed with; `previous_secret`, too, until `previous_secret_expires_at`.
        disabled_reason: why nothing is sent; NULL when it is.
        failing_since: the first try that failed after the last that succeeded.
        failures: tries in a row that failed, as the breaker counts them (`domain.webhooks.pace`).
        paused_until: nothing is tried before: the breaker is open, or the receiver has asked to wait.
        deleted_at: it is gone; the row stays until its deliveries are.
        secret_rotated_at: when `secret` was made.
    """

    __tablename__ = "webhooks"
    __table_args__ = (
        sa.Index("ix_webhooks_app_id_id", "app_id", "id"),
        sa.Index(
            "ix_webhooks_told", "app_id", postgresql_where=sa.text("disabled_reason IS NULL AND deleted_at IS NULL")
        ),
        sa.Index("ix_webhooks_deleted_at", "deleted_at", postgresql_where=sa.text("deleted_at IS NOT NULL")),
    )

    app_id: Mapped[UUID] = app_key()
    url: Mapped[str]
    description: Mapped[str | None]
    event_types: Mapped[list[str]]
    header_names: Mapped[list[str]] = mapped_column(default=list)
    headers: Mapped[str | None] = mapped_column(info=ENCRYPTED)
    secret: Mapped[str | None] = mapped_column(info=ENCRYPTED)
    previous_secret: Mapped[str | None] = mapped_column(info=ENCRYPTED)
    previous_secret_expires_at: Mapped[datetime | None]
    secret_rotated_at: Mapped[datetime] = mapped_column(default=now)
    disabled_reason: Mapped[WebhookStop | None]
    disabled_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    paused_until: Mapped[datetime | None]
    created_by_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("admin_users.id", ondelete="SET NULL"))
    updated_at: Mapped[datetime] = mapped_column(default=now)
    deleted_at: Mapped[datetime | None]


class WebhookEvent(Record):
    """Something that is told, to one webhook or to several; the id goes along as `webhook-id`.

    Attributes:
        sequence: grows with the facts of one thing, with gaps.
        body: exactly what is sent.
    """

    __tablename__ = "webhook_events"
    __table_args__ = (sa.Index("ix_webhook_events_created_at", "created_at"),)

    app_id: Mapped[UUID] = app_key()
    event_type: Mapped[WebhookEventType]
    entity_id: Mapped[UUID]
    sequence: Mapped[int] = mapped_column(sa.BigInteger)
    body: Mapped[str] = mapped_column(info=PERSONAL)


class WebhookDelivery(Record):
    """An event on its way to a webhook. Its id is as old as the event, so lists and `since` go by it.

    Attributes:
        attempt_count: tries so far; who has claimed it is told apart from others by this number.
        tries: those since it was made, or was last replayed: there are eight at most.
        due_at: when it is tried next, or may be taken from a worker that has died; NULL when it is through.
        lease_until: until then a worker has it in hand.
        status_code: what the receiver answered the last time.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        sa.Index("ix_webhook_deliveries_due", "webhook_id", "due_at", postgresql_where=sa.text("due_at IS NOT NULL")),
        sa.Index("ix_webhook_deliveries_leased", "webhook_id", postgresql_where=sa.text("lease_until IS NOT NULL")),
        sa.Index("ix_webhook_deliveries_tests", "due_at", postgresql_where=sa.text("is_test AND due_at IS NOT NULL")),
        sa.Index("ix_webhook_deliveries_webhook_id_id", "webhook_id", "id"),
        sa.Index("ix_webhook_deliveries_webhook_id_status_id", "webhook_id", "status", "id"),
        sa.Index("ix_webhook_deliveries_event_id", "event_id"),
        {"postgresql_with": {"fillfactor": 80}},
    )

    app_id: Mapped[UUID] = app_key()
    webhook_id: Mapped[UUID] = mapped_column(sa.ForeignKey("webhooks.id", ondelete="CASCADE"))
    event_id: Mapped[UUID] = mapped_column(sa.ForeignKey("webhook_events.id", ondelete="CASCADE"))
    event_type: Mapped[WebhookEventType]
    is_test: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    status: Mapped[DeliveryStatus] = mapped_column(default=DeliveryStatus.PENDING, server_default="PENDING")
    attempt_count: Mapped[int] = mapped_column(default=0, server_default="0")
    tries: Mapped[int] = mapped_column(default=0, server_default="0")
    due_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    status_code: Mapped[int | None]
    failure: Mapped[DeliveryFailure | None]
    delivered_at: Mapped[datetime | None]


class WebhookAttempt(Record):
    """One try, as far as somebody could tell what came of it; `created_at` is when it was sent.

    Attributes:
        number: which of the delivery's tries it was, from 1. One whose worker died leaves a gap.
        request_headers, response_headers: secrets masked. response_body: the beginning, secrets masked.
        milliseconds: how long it took.
    """

    __tablename__ = "webhook_attempts"
    __table_args__ = (sa.UniqueConstraint("delivery_id", "number"),)

    app_id: Mapped[UUID] = app_key()
    delivery_id: Mapped[UUID] = mapped_column(sa.ForeignKey("webhook_deliveries.id", ondelete="CASCADE"))
    number: Mapped[int]
    url: Mapped[str]
    request_headers: Mapped[dict[str, Any]]
    status_code: Mapped[int | None]
    failure: Mapped[DeliveryFailure | None]
    milliseconds: Mapped[int]
    response_headers: Mapped[dict[str, Any]]
    response_body: Mapped[str | None] = mapped_column(info=PERSONAL)
