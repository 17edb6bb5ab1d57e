"""Event streams: what happened, in the order of the commits, for whoever follows one thing or one list."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Model, app_key
from models.facts import FactKind


class Stream(Model):
    """A stream, which counts its events. It stays when they are deleted: a number is never given out twice.

    Attributes:
        name: `noun:<id>`, e.g. of a conversation.
        head: the number of its newest event; 0 is none.
    """

    __tablename__ = "streams"
    # Half of a page stays free and no index has the head, so that counting up moves no row.
    __table_args__ = (sa.UniqueConstraint("app_id", "name"), {"postgresql_with": {"fillfactor": 50}})

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    app_id: Mapped[UUID] = app_key()
    name: Mapped[str]
    head: Mapped[int] = mapped_column(sa.BigInteger)


class StreamEvent(Model):
    """A fact as one stream has it. Made by `domain.streams.writing` alone, in one statement.

    Attributes:
        seq: from 1, without gaps, in the order of the commits; the oldest are deleted after a week.
        entity_id: the thing it happened to.
        actor: who did it, as in the fact.
        data: that of the fact: ids and states, no secrets and no message bodies.
        created_at: when it happened.
    """

    __tablename__ = "stream_events"
    __table_args__ = (sa.Index("ix_stream_events_created_at", "created_at"),)

    stream_id: Mapped[int] = mapped_column(
        sa.BigInteger, sa.ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True
    )
    seq: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    app_id: Mapped[UUID] = app_key()
    kind: Mapped[FactKind]
    entity_id: Mapped[UUID]
    actor: Mapped[str]
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
