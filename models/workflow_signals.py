"""Signals: what happened to contacts that may let them into workflows, kept until somebody has looked."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.clock import now
from models.base import PERSONAL, Record, app_key
from models.workflows import TriggerKind


class WorkflowSignal(Record):
    """Something that happened to a contact; the row goes when it has been looked at.

    Attributes:
        keys: what exactly: the name of the event, the channel, the tags, the fields.
        source_id: the event or the message; None when the signal is all that tells of it.
        data: what it brings for variables: `event`, `message`.
        lineage: the workflows whose steps led to it.
        due_at: when it is looked at; later after a failure, None when it has failed too often.
    """

    __tablename__ = "workflow_signals"
    __table_args__ = (
        sa.Index("ix_workflow_signals_due_at", "due_at", postgresql_where=sa.text("due_at IS NOT NULL")),
        sa.Index("ix_workflow_signals_given_up", "created_at", postgresql_where=sa.text("due_at IS NULL")),
    )

    app_id: Mapped[UUID] = app_key()
    contact_id: Mapped[UUID] = mapped_column(sa.ForeignKey("contacts.id", ondelete="CASCADE"), index=True)
    kind: Mapped[TriggerKind]
    keys: Mapped[list[str]]
    source_id: Mapped[UUID | None]
    data: Mapped[dict[str, Any]] = mapped_column(default=dict, info=PERSONAL)
    lineage: Mapped[list[UUID]] = mapped_column(default=list)
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    due_at: Mapped[datetime | None] = mapped_column(default=now)
