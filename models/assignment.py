"""Who of the team answers which conversation, and why."""

from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Record, app_key


class AssignmentMode(StrEnum):
    """How an app gives conversations to the people of its team."""

    MANUAL = "MANUAL"
    ROUND_ROBIN = "ROUND_ROBIN"
    BALANCED = "BALANCED"


class AssignmentReason(StrEnum):
    """Why a conversation came to somebody else, or to nobody."""

    MANUAL = "MANUAL"
    ROUND_ROBIN = "ROUND_ROBIN"
    BALANCED = "BALANCED"
    QUEUE = "QUEUE"
    REOPENED = "REOPENED"
    UNASSIGNED = "UNASSIGNED"
    OFFLINE = "OFFLINE"


class Assignment(Record):
    """A change of who answers a conversation. Who has no account any more is None, as nobody is.

    Attributes:
        from_id, to_id: who had it, and who has it then; None for nobody.
        actor: as in `models.facts`.
    """

    __tablename__ = "assignments"
    __table_args__ = (
        sa.Index("ix_assignments_conversation_id_id", "conversation_id", "id"),
        sa.Index("ix_assignments_from_id", "from_id", postgresql_where=sa.text("from_id IS NOT NULL")),
        sa.Index("ix_assignments_to_id", "to_id", postgresql_where=sa.text("to_id IS NOT NULL")),
    )

    app_id: Mapped[UUID] = app_key()
    conversation_id: Mapped[UUID] = mapped_column(sa.ForeignKey("conversations.id", ondelete="CASCADE"))
    from_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("admin_users.id", ondelete="SET NULL"))
    to_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("admin_users.id", ondelete="SET NULL"))
    reason: Mapped[AssignmentReason]
    actor: Mapped[str]
