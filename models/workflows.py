"""Workflows: what happens to a contact after something has happened, as a graph of nodes that the team draws."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.clock import now
from models.base import SECRET, Record, app_key


class WorkflowStatus(StrEnum):
    """Where a workflow stands. It lets contacts in while it is ACTIVE."""

    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    ARCHIVED = "ARCHIVED"


class TriggerKind(StrEnum):
    """What lets a contact in, as definitions write it."""

    EVENT = "event"
    MESSAGE_RECEIVED = "message_received"
    TAG_ADDED = "tag_added"
    ATTRIBUTE_CHANGED = "attribute_changed"
    SEGMENT_ENTERED = "segment_entered"
    SCHEDULE = "schedule"
    MANUAL = "manual"


class Workflow(Record):
    """A workflow.

    Attributes:
        definition: the draft, in the JSON form that `domain.workflows.definition` reads. It may be incomplete. Headers
            of webhooks may be secret, so the audit log tells only that it has changed.
        active_version_id: the version that contacts enter by, or would if it were ACTIVE; None before the first.
        version: grows with every change.
        cancelled_until: executions that came in until then are being cancelled; None when none is.
    """

    __tablename__ = "workflows"
    __table_args__ = (
        sa.Index("ix_workflows_app_id_id", "app_id", "id"),
        sa.Index("ix_workflows_app_id_status_id", "app_id", "status", "id"),
        sa.Index("ix_workflows_cancelled_until", "id", postgresql_where=sa.text("cancelled_until IS NOT NULL")),
    )

    app_id: Mapped[UUID] = app_key()
    name: Mapped[str]
    description: Mapped[str | None]
    status: Mapped[WorkflowStatus] = mapped_column(default=WorkflowStatus.DRAFT)
    definition: Mapped[dict[str, Any]] = mapped_column(info=SECRET)
    active_version_id: Mapped[UUID | None]
    created_by_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("admin_users.id", ondelete="SET NULL"))
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    cancelled_until: Mapped[datetime | None]


class WorkflowVersion(Record):
    """A published definition. It never changes, so whoever is on it ends as they began; the database holds that.

    Attributes:
        number: 1, 2, 3, … of its workflow.
        definition: complete, and checked when it was published.
    """

    __tablename__ = "workflow_versions"
    __table_args__ = (sa.Index("uq_workflow_versions_number", "workflow_id", "number", unique=True),)

    app_id: Mapped[UUID] = app_key()
    workflow_id: Mapped[UUID] = mapped_column(sa.ForeignKey("workflows.id", ondelete="CASCADE"))
    number: Mapped[int]
    definition: Mapped[dict[str, Any]] = mapped_column(info=SECRET)
    published_at: Mapped[datetime] = mapped_column(default=now)
    published_by_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("admin_users.id", ondelete="SET NULL"))


class WorkflowTrigger(Record):
    """By what a version is found when something happens: one look at an index, however many workflows there are.

    Attributes:
        key: what exactly must happen, such as the name of the event; empty when anything of the kind will do.
        active: whether it lets anybody in; not while its workflow is paused.
    """

    __tablename__ = "workflow_triggers"
    __table_args__ = (
        sa.Index("ix_workflow_triggers_app_id_kind_key", "app_id", "kind", "key", postgresql_where=sa.text("active")),
        sa.Index("ix_workflow_triggers_workflow_id", "workflow_id"),
        sa.Index("ix_workflow_triggers_workflow_version_id", "workflow_version_id"),
    )

    app_id: Mapped[UUID] = app_key()
    kind: Mapped[TriggerKind]
    key: Mapped[str]
    workflow_id: Mapped[UUID] = mapped_column(sa.ForeignKey("workflows.id", ondelete="CASCADE"))
    workflow_version_id: Mapped[UUID] = mapped_column(sa.ForeignKey("workflow_versions.id", ondelete="CASCADE"))
    active: Mapped[bool]
