"""Who is in the segments that workflows wait for, kept so that coming in is noticed."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.clock import now
from models.base import Model, app_key


class WatchStatus(StrEnum):
    """What is done about a segment: who is in it is written first, then watched, and forgotten when nobody waits."""

    BASELINE = "BASELINE"
    WATCHING = "WATCHING"
    FORGETTING = "FORGETTING"


class SegmentWatch(Model):
    """A segment that an ACTIVE workflow waits for. It may be gone, then it is forgotten.

    Attributes:
        after_contact_id: as far as this round has come; None at its beginning.
        begun_at: when this round began.
        due_at: when the clock goes on with it.
    """

    __tablename__ = "segment_watches"
    __table_args__ = (
        sa.Index("ix_segment_watches_due_at", "due_at"),
        sa.Index("ix_segment_watches_app_id", "app_id"),
        {"postgresql_with": {"fillfactor": 50}},
    )

    segment_id: Mapped[UUID] = mapped_column(primary_key=True)
    app_id: Mapped[UUID] = app_key()
    status: Mapped[WatchStatus] = mapped_column(default=WatchStatus.BASELINE)
    after_contact_id: Mapped[UUID | None]
    begun_at: Mapped[datetime] = mapped_column(default=now)
    due_at: Mapped[datetime] = mapped_column(default=now)


class SegmentMember(Model):
    """A contact who was in a watched segment when it was last looked at."""

    __tablename__ = "segment_members"
    __table_args__ = (sa.Index("ix_segment_members_contact_id", "contact_id"),)

    segment_id: Mapped[UUID] = mapped_column(primary_key=True)
    contact_id: Mapped[UUID] = mapped_column(sa.ForeignKey("contacts.id", ondelete="CASCADE"), primary_key=True)
    app_id: Mapped[UUID] = app_key()
    entered_at: Mapped[datetime]
