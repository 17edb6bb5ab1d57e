"""Executions of workflows: one contact on their way through one version, step by step, and what they wait for."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import PERSONAL, Record, app_key

_IS_OPEN = sa.text("ended_at IS NULL")
_IS_DUE = sa.text("ended_at IS NULL AND NOT held")


class ExecutionStatus(StrEnum):
    """Where an execution stands."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    EXITED = "EXITED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class EndReason(StrEnum):
    """Why an execution ended before its last step."""

    GOAL = "GOAL"
    CONDITION = "CONDITION"
    NODE = "NODE"
    OPERATOR = "OPERATOR"
    CONTACT_ERASED = "CONTACT_ERASED"


class StepStatus(StrEnum):
    """Where a step stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


class WorkflowExecution(Record):
    """A contact's way through a version of a workflow; `created_at` is when they came in.

    Attributes:
        contact_id: None once they have been erased; nothing that tells of them is left then.
        trigger_key: what let them in, such as `event:<id>`: the same thing lets nobody in twice.
        entry_key: taken while the contact may not come in again; None when nothing keeps them out.
        context: what let them in, for variables: `event`, `message`.
        lineage: the workflows whose steps led to it, the first one first: none of them is entered again.
        open_steps: how many steps have not ended.
        converted_at: when the goal was reached, before or after the end.
        error_node_id: the node that failed.
    """

    __tablename__ = "workflow_executions"
    __table_args__ = (
        sa.Index("uq_workflow_executions_trigger", "workflow_id", "trigger_key", unique=True),
        sa.Index(
            "uq_workflow_executions_entry",
            "workflow_id",
            "entry_key",
            unique=True,
            postgresql_where=sa.text("entry_key IS NOT NULL"),
        ),
        sa.Index("ix_workflow_executions_workflow_id_id", "workflow_id", "id"),
        sa.Index("ix_workflow_executions_workflow_id_status_id", "workflow_id", "status", "id"),
        sa.Index("ix_workflow_executions_contact_id_workflow_id", "contact_id", "workflow_id"),
        sa.Index("ix_workflow_executions_workflow_id_created_at", "workflow_id", "created_at"),
        sa.Index("ix_workflow_executions_version_id", "workflow_version_id"),
        sa.Index(
            "ix_workflow_executions_ended_at",
            "ended_at",
            postgresql_where=sa.text("ended_at IS NOT NULL AND entry_key IS NULL"),
        ),
        {"postgresql_with": {"fillfactor": 80}},
    )

    app_id: Mapped[UUID] = app_key()
    workflow_id: Mapped[UUID] = mapped_column(sa.ForeignKey("workflows.id", ondelete="CASCADE"))
    workflow_version_id: Mapped[UUID] = mapped_column(sa.ForeignKey("workflow_versions.id", ondelete="CASCADE"))
    contact_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("contacts.id", ondelete="SET NULL"))
    trigger_key: Mapped[str]
    entry_key: Mapped[str | None]
    status: Mapped[ExecutionStatus] = mapped_column(default=ExecutionStatus.RUNNING)
    reason: Mapped[EndReason | None]
    context: Mapped[dict[str, Any]] = mapped_column(default=dict, info=PERSONAL)
    lineage: Mapped[list[UUID]] = mapped_column(default=list)
    open_steps: Mapped[int]
    ended_at: Mapped[datetime | None]
    converted_at: Mapped[datetime | None]
    error_node_id: Mapped[str | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None] = mapped_column(info=PERSONAL)


class WorkflowStep(Record):
    """A node that an execution has reached; it reaches each once. `created_at` is when.

    Attributes:
        kind: that of the node, as definitions write it.
        due_at: when somebody is to look at it: to act, to go on after a wait, or as the lease of a worker has run out.
        held: whether nobody looks at it, as its workflow is paused.
        attempts: how often a worker has taken it up.
        failures: how often it has failed, and not because a worker was gone.
        fence: grows with each worker that takes it up; only the newest may write.
        goes_by: the way by which it goes on at `due_at` without acting again; None while it is to act.
        called_at: since when a call to the outside is on its way; None when none is.
        branch: the way by which it was left: `next` by plain edges.
        input: what it was set to, with the variables put in.
        output: what later nodes may say of it.
    """

    __tablename__ = "workflow_steps"
    __table_args__ = (
        sa.Index("uq_workflow_steps_node", "execution_id", "node_id", unique=True),
        sa.Index("ix_workflow_steps_due", "due_at", postgresql_where=_IS_DUE),
        sa.Index("ix_workflow_steps_held", "workflow_id", postgresql_where=sa.text("held")),
        sa.Index("ix_workflow_steps_open", "workflow_id", "due_at", postgresql_where=_IS_OPEN),
        sa.Index(
            "ix_workflow_steps_passed",
            "workflow_version_id",
            "node_id",
            "ended_at",
            postgresql_where=sa.text("status = 'COMPLETED'"),
        ),
        {"postgresql_with": {"fillfactor": 70}},
    )

    app_id: Mapped[UUID] = app_key()
    workflow_id: Mapped[UUID]
    workflow_version_id: Mapped[UUID]
    execution_id: Mapped[UUID] = mapped_column(sa.ForeignKey("workflow_executions.id", ondelete="CASCADE"))
    node_id: Mapped[str]
    kind: Mapped[str]
    status: Mapped[StepStatus] = mapped_column(default=StepStatus.PENDING)
    due_at: Mapped[datetime]
    held: Mapped[bool] = mapped_column(default=False)
    attempts: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)
    goes_by: Mapped[str | None]
    called_at: Mapped[datetime | None]
    branch: Mapped[str | None]
    input: Mapped[dict[str, Any] | None] = mapped_column(info=PERSONAL)
    output: Mapped[dict[str, Any] | None] = mapped_column(info=PERSONAL)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None] = mapped_column(info=PERSONAL)


class WorkflowWait(Record):
    """An event that an execution waits for.

    Attributes:
        step_id: the step that waits; None when it is the goal.
        expires_at: from when on it counts no more; None when it always does.
    """

    __tablename__ = "workflow_waits"
    __table_args__ = (
        sa.Index("ix_workflow_waits_contact_id_event_name", "contact_id", "event_name"),
        sa.Index("ix_workflow_waits_execution_id", "execution_id"),
        sa.Index("ix_workflow_waits_step_id", "step_id"),
        sa.Index("ix_workflow_waits_app_id", "app_id"),
        sa.Index("ix_workflow_waits_expires_at", "expires_at", postgresql_where=sa.text("step_id IS NULL")),
    )

    app_id: Mapped[UUID] = app_key()
    contact_id: Mapped[UUID] = mapped_column(sa.ForeignKey("contacts.id", ondelete="CASCADE"))
    execution_id: Mapped[UUID] = mapped_column(sa.ForeignKey("workflow_executions.id", ondelete="CASCADE"))
    step_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("workflow_steps.id", ondelete="CASCADE"))
    event_name: Mapped[str]
    expires_at: Mapped[datetime | None]
