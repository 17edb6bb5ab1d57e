"""Many contacts let into a workflow, slice by slice; and when that is done again and again."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Model, Record, app_key


class EnrolmentStatus(StrEnum):
    """Where an enrolment stands."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


class EnrolmentAudience(StrEnum):
    """Whom an enrolment is for."""

    EVERYBODY = "EVERYBODY"
    SEGMENT = "SEGMENT"
    CONTACTS = "CONTACTS"


class WorkflowEnrolment(Record):
    """Contacts who are let into a version of a workflow.

    Attributes:
        key: what asks for it, such as `schedule:<instant>`: the same asks once. Executions have it as `trigger_key`.
        conditions: those of the segment, as they were when it began.
        after_contact_id: the last contact who has been looked at.
        entered: who came in.
        kept_out: who did not: they had been in, or the trigger is not for them.
        due_at: when the next slice is; None once it has ended.
    """

    __tablename__ = "workflow_enrolments"
    __table_args__ = (
        sa.Index("uq_workflow_enrolments_key", "workflow_id", "key", unique=True),
        sa.Index("ix_workflow_enrolments_workflow_id_id", "workflow_id", "id"),
        sa.Index("ix_workflow_enrolments_version_id", "workflow_version_id"),
        sa.Index("ix_workflow_enrolments_due_at", "due_at", postgresql_where=sa.text("due_at IS NOT NULL")),
        sa.Index("ix_workflow_enrolments_ended_at", "ended_at", postgresql_where=sa.text("ended_at IS NOT NULL")),
        {"postgresql_with": {"fillfactor": 50}},
    )

    app_id: Mapped[UUID] = app_key()
    workflow_id: Mapped[UUID] = mapped_column(sa.ForeignKey("workflows.id", ondelete="CASCADE"))
    workflow_version_id: Mapped[UUID] = mapped_column(sa.ForeignKey("workflow_versions.id", ondelete="CASCADE"))
    key: Mapped[str]
    audience: Mapped[EnrolmentAudience]
    segment_id: Mapped[UUID | None]
    conditions: Mapped[dict[str, Any] | None]
    contact_ids: Mapped[list[UUID]] = mapped_column(default=list)
    status: Mapped[EnrolmentStatus] = mapped_column(default=EnrolmentStatus.RUNNING)
    after_contact_id: Mapped[UUID | None]
    entered: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    kept_out: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    due_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    created_by_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("admin_users.id", ondelete="SET NULL"))


class WorkflowSchedule(Model):
    """When an ACTIVE workflow lets its contacts in the next time."""

    __tablename__ = "workflow_schedules"
    __table_args__ = (
        sa.Index("ix_workflow_schedules_next_at", "next_at"),
        sa.Index("ix_workflow_schedules_version_id", "workflow_version_id"),
    )

    workflow_id: Mapped[UUID] = mapped_column(sa.ForeignKey("workflows.id", ondelete="CASCADE"), primary_key=True)
    app_id: Mapped[UUID] = app_key()
    workflow_version_id: Mapped[UUID] = mapped_column(sa.ForeignKey("workflow_versions.id", ondelete="CASCADE"))
    next_at: Mapped[datetime]
