"""What happened, written in the transaction that made it happen."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Record, app_key


class FactKind(StrEnum):
    """The vocabulary of facts: noun, dot, past tense. What happens to notifications is told in streams alone."""

    APP_CREATED = "app.created"
    SESSION_STARTED = "session.started"
    SESSION_REVOKED = "session.revoked"
    SESSION_SWITCHED = "session.switched"
    MEMBERSHIP_CREATED = "membership.created"
    MEMBERSHIP_UPDATED = "membership.updated"
    MEMBERSHIP_DELETED = "membership.deleted"
    INVITATION_CREATED = "invitation.created"
    INVITATION_RESENT = "invitation.resent"
    INVITATION_REVOKED = "invitation.revoked"
    INVITATION_ACCEPTED = "invitation.accepted"
    API_KEY_CREATED = "api_key.created"
    API_KEY_UPDATED = "api_key.updated"
    API_KEY_REPLACED = "api_key.replaced"
    API_KEY_REVOKED = "api_key.revoked"
    APP_UPDATED = "app.updated"
    CONTACT_CREATED = "contact.created"
    CONTACT_UPDATED = "contact.updated"
    CONTACT_DELETED = "contact.deleted"
    CONTACT_OPTED_OUT = "contact.opted_out"
    CONTACT_OPTED_IN = "contact.opted_in"
    ADDRESS_SUPPRESSED = "address.suppressed"
    ADDRESS_UNSUPPRESSED = "address.unsuppressed"
    CHANNEL_ACCOUNT_SET = "channel_account.set"
    CHANNEL_ACCOUNT_REMOVED = "channel_account.removed"
    DEVICE_REGISTERED = "device.registered"
    DEVICE_PUSH_ENDED = "device.push_ended"
    ATTACHMENT_UPLOADED = "attachment.uploaded"
    EVENT_TRACKED = "event.tracked"
    SEGMENT_CREATED = "segment.created"
    SEGMENT_UPDATED = "segment.updated"
    SEGMENT_DELETED = "segment.deleted"
    BROADCAST_CREATED = "broadcast.created"
    BROADCAST_UPDATED = "broadcast.updated"
    BROADCAST_DELETED = "broadcast.deleted"
    BROADCAST_SCHEDULED = "broadcast.scheduled"
    BROADCAST_STARTED = "broadcast.started"
    BROADCAST_PAUSED = "broadcast.paused"
    BROADCAST_RESUMED = "broadcast.resumed"
    BROADCAST_CANCELLED = "broadcast.cancelled"
    BROADCAST_TESTED = "broadcast.tested"
    BROADCAST_RETRIED = "broadcast.retried"
    BROADCAST_EXTENDED = "broadcast.extended"
    BROADCAST_DECIDED = "broadcast.decided"
    BROADCAST_SENT = "broadcast.sent"
    BROADCAST_FAILED = "broadcast.failed"
    CONVERSATION_OPENED = "conversation.opened"
    CONVERSATION_UPDATED = "conversation.updated"
    CONVERSATION_ASSIGNED = "conversation.assigned"
    CONVERSATION_UNASSIGNED = "conversation.unassigned"
    CONVERSATION_QUEUED = "conversation.queued"
    CONVERSATION_SNOOZED = "conversation.snoozed"
    CONVERSATION_REOPENED = "conversation.reopened"
    CONVERSATION_RESOLVED = "conversation.resolved"
    CONVERSATION_READ = "conversation.read"
    CONVERSATION_DELETED = "conversation.deleted"
    CONVERSATION_LABELLED = "conversation.labelled"
    CONVERSATION_UNLABELLED = "conversation.unlabelled"
    MESSAGE_CREATED = "message.created"
    MESSAGE_UPDATED = "message.updated"
    MESSAGE_DELETED = "message.deleted"
    MESSAGE_RECEIPT_CHANGED = "message.receipt_changed"
    LABEL_CREATED = "label.created"
    LABEL_UPDATED = "label.updated"
    LABEL_DELETED = "label.deleted"
    WORKFLOW_CREATED = "workflow.created"
    WORKFLOW_UPDATED = "workflow.updated"
    WORKFLOW_DELETED = "workflow.deleted"
    WORKFLOW_PUBLISHED = "workflow.published"
    WORKFLOW_ACTIVATED = "workflow.activated"
    WORKFLOW_PAUSED = "workflow.paused"
    WORKFLOW_ARCHIVED = "workflow.archived"
    WORKFLOW_EMPTIED = "workflow.emptied"
    WORKFLOW_EXECUTION_STARTED = "workflow_execution.started"
    WORKFLOW_EXECUTION_CANCELLED = "workflow_execution.cancelled"
    WORKFLOW_EXECUTION_RETRIED = "workflow_execution.retried"
    WORKFLOW_EXECUTION_CONTINUED = "workflow_execution.continued"
    WORKFLOW_EXECUTION_FAILED = "workflow_execution.failed"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_UPDATED = "webhook.updated"
    WEBHOOK_DELETED = "webhook.deleted"
    WEBHOOK_ENABLED = "webhook.enabled"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_SECRET_ROTATED = "webhook.secret_rotated"  # noqa: S105 - a kind of fact
    WEBHOOK_TESTED = "webhook.tested"
    WEBHOOK_REPLAYED = "webhook.replayed"
    NOTIFICATION_ADDED = "notification.added"
    NOTIFICATION_CHANGED = "notification.changed"
    WORKFLOW_ENROLMENT_CREATED = "workflow_enrolment.created"
    WORKFLOW_ENROLMENT_CANCELLED = "workflow_enrolment.cancelled"


class Fact(Record):
    """Something that happened to one thing.

    Attributes:
        entity_id: the thing, e.g. the broadcast.
        actor: `user:<id>`, `key:<id>`, `device:<id>`, `contact:<id>`, `workflow:<id>` or `system`.
        data: small and without secrets or message bodies.
        dispatched_at: when its followers had been served, NULL until then; when it was made, if its kind has none.
    """

    __tablename__ = "facts"
    __table_args__ = (
        sa.Index("ix_facts_undispatched", "created_at", postgresql_where=sa.text("dispatched_at IS NULL")),
        sa.Index("ix_facts_dispatched", "created_at", postgresql_where=sa.text("dispatched_at IS NOT NULL")),
    )

    app_id: Mapped[UUID] = app_key()
    kind: Mapped[FactKind]
    entity_id: Mapped[UUID]
    actor: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    dispatched_at: Mapped[datetime | None]
