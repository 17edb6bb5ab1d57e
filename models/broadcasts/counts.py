"""Counts of broadcasts, kept in the transaction of what they count."""

from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Model

TALLY_SHARDS = 16


class BroadcastTally(Model):
    """What devices reported, counted in a few rows a broadcast so that reports do not queue on one.

    `settled`: recipients that a chunk counts as uncertain, and of which it is known by now that they got it.
    """

    __tablename__ = "broadcast_tallies"
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)

    broadcast_id: Mapped[UUID] = mapped_column(sa.ForeignKey("broadcasts.id", ondelete="CASCADE"), primary_key=True)
    shard: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    delivered: Mapped[int] = mapped_column(default=0, server_default="0")
    opened: Mapped[int] = mapped_column(default=0, server_default="0")
    clicked: Mapped[int] = mapped_column(default=0, server_default="0")
    machine_opened: Mapped[int] = mapped_column(default=0, server_default="0")
    converted: Mapped[int] = mapped_column(default=0, server_default="0")
    settled: Mapped[int] = mapped_column(default=0, server_default="0")


class Measure(StrEnum):
    """What a rollup counts."""

    RECIPIENTS = "RECIPIENTS"
    SENT = "SENT"
    DELIVERED = "DELIVERED"
    OPENED = "OPENED"
    CLICKED = "CLICKED"
    CONVERTED = "CONVERTED"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"


class Dimension(StrEnum):
    """By what a rollup counts it. ALL has one bucket, the empty text; HOUR is that of the event, in UTC."""

    ALL = "ALL"
    PLATFORM = "PLATFORM"
    COUNTRY = "COUNTRY"
    HOUR = "HOUR"
    CODE = "CODE"


class BroadcastRollup(Model):
    """A count of recipients, kept in the transaction of what it counts. Sharded, so that writers rarely meet.

    Attributes:
        variant: index of the variant; -1 where there is none.
        bucket: value of the dimension; empty where it is unknown.
    """

    __tablename__ = "broadcast_rollups"
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)

    broadcast_id: Mapped[UUID] = mapped_column(sa.ForeignKey("broadcasts.id", ondelete="CASCADE"), primary_key=True)
    shard: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    measure: Mapped[Measure] = mapped_column(primary_key=True)
    dimension: Mapped[Dimension] = mapped_column(primary_key=True)
    variant: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    bucket: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=0, server_default="0")
