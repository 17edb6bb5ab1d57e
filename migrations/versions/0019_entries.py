"""The other ways into workflows: segments that are watched, schedules, enrolments; the goals of broadcasts."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.walls import unwall, wall

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
KIND = sa.String(32)
ZERO = sa.text("0")
TABLES = ("segment_watches", "segment_members", "workflow_schedules", "workflow_enrolments")
GOALS = "ix_broadcasts_goal"


def upgrade() -> None:
    _watches()
    _members()
    _schedules()
    _enrolments()
    for table in TABLES:
        wall(table)
    _goals()


def _app(table: str) -> list[Any]:
    return [
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name=f"fk_{table}_app_id_apps", ondelete="CASCADE"),
    ]


def _refers(table: str, column: str, to: str, ondelete: str = "CASCADE") -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=f"fk_{table}_{column}_{to}", ondelete=ondelete)


def _watches() -> None:
    table = "segment_watches"
    op.create_table(
        table,
        sa.Column("segment_id", sa.UUID(), nullable=False),
        *_app(table),
        sa.Column("status", KIND, nullable=False),
        sa.Column("after_contact_id", sa.UUID(), nullable=True),
        sa.Column("begun_at", INSTANT, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("segment_id", name=f"pk_{table}"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index("ix_segment_watches_due_at", table, ["due_at"])
    op.create_index("ix_segment_watches_app_id", table, ["app_id"])


def _members() -> None:
    table = "segment_members"
    op.create_table(
        table,
        sa.Column("segment_id", sa.UUID(), nullable=False),
        sa.Column("contact_id", sa.UUID(), nullable=False),
        *_app(table),
        sa.Column("entered_at", INSTANT, nullable=False),
        _refers(table, "contact_id", "contacts"),
        sa.PrimaryKeyConstraint("segment_id", "contact_id", name=f"pk_{table}"),
    )
    op.create_index("ix_segment_members_contact_id", table, ["contact_id"])


def _schedules() -> None:
    table = "workflow_schedules"
    op.create_table(
        table,
        sa.Column("workflow_id", sa.UUID(), nullable=False),
        *_app(table),
        sa.Column("workflow_version_id", sa.UUID(), nullable=False),
        sa.Column("next_at", INSTANT, nullable=False),
        _refers(table, "workflow_id", "workflows"),
        _refers(table, "workflow_version_id", "workflow_versions"),
        sa.PrimaryKeyConstraint("workflow_id", name=f"pk_{table}"),
    )
    op.create_index("ix_workflow_schedules_next_at", table, ["next_at"])
    op.create_index("ix_workflow_schedules_version_id", table, ["workflow_version_id"])


def _enrolments() -> None:
    table = "workflow_enrolments"
    op.create_table(
        table,
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        *_app(table),
        sa.Column("workflow_id", sa.UUID(), nullable=False),
        sa.Column("workflow_version_id", sa.UUID(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("audience", KIND, nullable=False),
        sa.Column("segment_id", sa.UUID(), nullable=True),
        sa.Column("conditions", JSONB, nullable=True),
        sa.Column("contact_ids", sa.ARRAY(sa.UUID()), nullable=False),
        sa.Column("status", KIND, nullable=False),
        sa.Column("after_contact_id", sa.UUID(), nullable=True),
        sa.Column("entered", sa.BigInteger(), server_default=ZERO, nullable=False),
        sa.Column("kept_out", sa.BigInteger(), server_default=ZERO, nullable=False),
        sa.Column("due_at", INSTANT, nullable=True),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("created_by_id", sa.UUID(), nullable=True),
        _refers(table, "workflow_id", "workflows"),
        _refers(table, "workflow_version_id", "workflow_versions"),
        _refers(table, "created_by_id", "admin_users", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index("uq_workflow_enrolments_key", table, ["workflow_id", "key"], unique=True)
    op.create_index("ix_workflow_enrolments_workflow_id_id", table, ["workflow_id", "id"])
    op.create_index("ix_workflow_enrolments_version_id", table, ["workflow_version_id"])
    op.create_index("ix_workflow_enrolments_due_at", table, ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL"))
    ended = sa.text("ended_at IS NOT NULL")
    op.create_index("ix_workflow_enrolments_ended_at", table, ["ended_at"], postgresql_where=ended)


def _goals() -> None:
    """The columns are empty, so nothing is written anew, and the index has nothing in it; broadcasts are not many."""
    op.add_column("broadcasts", sa.Column("goal_event_name", sa.Text(), nullable=True))
    op.add_column("broadcasts", sa.Column("goal_within_hours", sa.Integer(), nullable=True))
    op.create_index(
        GOALS,
        "broadcasts",
        ["app_id", "goal_event_name", "completed_at"],
        postgresql_where=sa.text("goal_event_name IS NOT NULL AND sent_at IS NOT NULL"),
    )
    op.add_column("broadcast_tallies", sa.Column("converted", sa.Integer(), server_default=ZERO, nullable=False))
    op.add_column("broadcast_recipients", sa.Column("converted_at", INSTANT, nullable=True))


def downgrade() -> None:
    op.drop_index(GOALS, table_name="broadcasts")
    op.drop_column("broadcast_tallies", "converted")
    op.drop_column("broadcast_recipients", "converted_at")
    op.drop_column("broadcasts", "goal_within_hours")
    op.drop_column("broadcasts", "goal_event_name")
    for table in reversed(TABLES):
        unwall(table)
        op.drop_table(table)
