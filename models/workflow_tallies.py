"""Counts of workflows: a ledger of what moves, and the sums that the clock makes of it."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Model, Record, app_key


class Counts:
    """What is counted of a node, or of whole executions where `node_id` is empty.

    Attributes:
        entered: came in.
        passed: went on; of executions: were completed.
        failed, exited, cancelled: ended here.
        converted: executions that reached the goal.
        seconds: from coming in to the end, of those that passed.
    """

    entered: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    passed: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    failed: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    exited: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    cancelled: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    converted: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    seconds: Mapped[float] = mapped_column(sa.Double, default=0.0, server_default="0")


COUNTED = ("entered", "passed", "failed", "exited", "cancelled", "converted", "seconds")


class WorkflowMove(Record, Counts):
    """What has been counted and is not in a tally yet. Only ever added, so that workers do not wait for each other."""

    __tablename__ = "workflow_moves"
    __table_args__ = (
        sa.Index("ix_workflow_moves_workflow_id", "workflow_id"),
        sa.Index("ix_workflow_moves_version_id", "workflow_version_id"),
    )

    app_id: Mapped[UUID] = app_key()
    workflow_id: Mapped[UUID] = mapped_column(sa.ForeignKey("workflows.id", ondelete="CASCADE"))
    workflow_version_id: Mapped[UUID] = mapped_column(sa.ForeignKey("workflow_versions.id", ondelete="CASCADE"))
    node_id: Mapped[str]


class WorkflowTally(Model, Counts):
    """The sums of moves; with the moves that are left they are the exact counts."""

    __tablename__ = "workflow_tallies"
    __table_args__ = (
        sa.Index("ix_workflow_tallies_workflow_id", "workflow_id"),
        {"postgresql_with": {"fillfactor": 50}},
    )

    workflow_version_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("workflow_versions.id", ondelete="CASCADE"), primary_key=True
    )
    node_id: Mapped[str] = mapped_column(primary_key=True)
    app_id: Mapped[UUID] = app_key()
    workflow_id: Mapped[UUID] = mapped_column(sa.ForeignKey("workflows.id", ondelete="CASCADE"))
