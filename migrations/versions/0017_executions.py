"""Executions of workflows, their steps, what they wait for, what lets them in, and their counts."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.walls import unwall, wall

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
KIND = sa.String(32)
IDS = sa.ARRAY(sa.UUID())
ZERO = sa.text("0")
TABLES = (
    "workflow_executions",
    "workflow_steps",
    "workflow_waits",
    "workflow_signals",
    "workflow_moves",
    "workflow_tallies",
)


def upgrade() -> None:
    _executions()
    _steps()
    _waits()
    _signals()
    _counts()
    for table in TABLES:
        wall(table)


def _record() -> list[sa.Column[Any]]:
    """What most tables begin with."""
    return [
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=False),
    ]


def _refers(table: str, column: str, to: str, ondelete: str = "CASCADE") -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=f"fk_{table}_{column}_{to}", ondelete=ondelete)


def _executions() -> None:
    table = "workflow_executions"
    op.create_table(
        table,
        *_record(),
        sa.Column("workflow_id", sa.UUID(), nullable=False),
        sa.Column("workflow_version_id", sa.UUID(), nullable=False),
        sa.Column("contact_id", sa.UUID(), nullable=True),
        sa.Column("trigger_key", sa.Text(), nullable=False),
        sa.Column("entry_key", sa.Text(), nullable=True),
        sa.Column("status", KIND, nullable=False),
        sa.Column("reason", KIND, nullable=True),
        sa.Column("context", JSONB, nullable=False),
        sa.Column("lineage", IDS, nullable=False),
        sa.Column("open_steps", sa.Integer(), nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("converted_at", INSTANT, nullable=True),
        sa.Column("error_node_id", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        _refers(table, "app_id", "apps"),
        _refers(table, "workflow_id", "workflows"),
        _refers(table, "workflow_version_id", "workflow_versions"),
        _refers(table, "contact_id", "contacts", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        postgresql_with={"fillfactor": 80},
    )
    taken = sa.text("entry_key IS NOT NULL")
    op.create_index("uq_workflow_executions_trigger", table, ["workflow_id", "trigger_key"], unique=True)
    op.create_index(
        "uq_workflow_executions_entry", table, ["workflow_id", "entry_key"], unique=True, postgresql_where=taken
    )
    op.create_index("ix_workflow_executions_workflow_id_id", table, ["workflow_id", "id"])
    op.create_index("ix_workflow_executions_workflow_id_status_id", table, ["workflow_id", "status", "id"])
    op.create_index("ix_workflow_executions_contact_id_workflow_id", table, ["contact_id", "workflow_id"])
    op.create_index("ix_workflow_executions_workflow_id_created_at", table, ["workflow_id", "created_at"])
    op.create_index("ix_workflow_executions_version_id", table, ["workflow_version_id"])
    ended = sa.text("ended_at IS NOT NULL")
    op.create_index("ix_workflow_executions_ended_at", table, ["ended_at"], postgresql_where=ended)


def _steps() -> None:
    table = "workflow_steps"
    op.create_table(
        table,
        *_record(),
        sa.Column("workflow_id", sa.UUID(), nullable=False),
        sa.Column("workflow_version_id", sa.UUID(), nullable=False),
        sa.Column("execution_id", sa.UUID(), nullable=False),
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", KIND, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("goes_by", sa.Text(), nullable=True),
        sa.Column("called_at", INSTANT, nullable=True),
        sa.Column("branch", sa.Text(), nullable=True),
        sa.Column("input", JSONB, nullable=True),
        sa.Column("output", JSONB, nullable=True),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        _refers(table, "app_id", "apps"),
        _refers(table, "execution_id", "workflow_executions"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index("uq_workflow_steps_node", table, ["execution_id", "node_id"], unique=True)
    op.create_index(
        "ix_workflow_steps_due", table, ["due_at"], postgresql_where=sa.text("ended_at IS NULL AND NOT held")
    )
    op.create_index("ix_workflow_steps_held", table, ["workflow_id"], postgresql_where=sa.text("held"))
    op.create_index(
        "ix_workflow_steps_open", table, ["workflow_id", "due_at"], postgresql_where=sa.text("ended_at IS NULL")
    )
    passed = sa.text("status = 'COMPLETED'")
    op.create_index(
        "ix_workflow_steps_passed", table, ["workflow_version_id", "node_id", "ended_at"], postgresql_where=passed
    )


def _waits() -> None:
    table = "workflow_waits"
    op.create_table(
        table,
        *_record(),
        sa.Column("contact_id", sa.UUID(), nullable=False),
        sa.Column("execution_id", sa.UUID(), nullable=False),
        sa.Column("step_id", sa.UUID(), nullable=True),
        sa.Column("event_name", sa.Text(), nullable=False),
        sa.Column("expires_at", INSTANT, nullable=True),
        _refers(table, "app_id", "apps"),
        _refers(table, "contact_id", "contacts"),
        _refers(table, "execution_id", "workflow_executions"),
        _refers(table, "step_id", "workflow_steps"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )
    op.create_index("ix_workflow_waits_contact_id_event_name", table, ["contact_id", "event_name"])
    for column in ("execution_id", "step_id", "app_id"):
        op.create_index(f"ix_workflow_waits_{column}", table, [column])
    op.create_index("ix_workflow_waits_expires_at", table, ["expires_at"], postgresql_where=sa.text("step_id IS NULL"))


def _signals() -> None:
    table = "workflow_signals"
    op.create_table(
        table,
        *_record(),
        sa.Column("contact_id", sa.UUID(), nullable=False),
        sa.Column("kind", KIND, nullable=False),
        sa.Column("keys", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("source_id", sa.UUID(), nullable=True),
        sa.Column("data", JSONB, nullable=False),
        sa.Column("lineage", IDS, nullable=False),
        sa.Column("failures", sa.Integer(), server_default=ZERO, nullable=False),
        sa.Column("due_at", INSTANT, nullable=True),
        _refers(table, "app_id", "apps"),
        _refers(table, "contact_id", "contacts"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )
    op.create_index("ix_workflow_signals_contact_id", table, ["contact_id"])
    waiting = sa.text("due_at IS NOT NULL")
    op.create_index("ix_workflow_signals_due_at", table, ["due_at"], postgresql_where=waiting)


def _counted() -> list[sa.Column[Any]]:
    whole = ("entered", "passed", "failed", "exited", "cancelled", "converted")
    columns = [sa.Column(name, sa.BigInteger(), server_default=ZERO, nullable=False) for name in whole]
    return [*columns, sa.Column("seconds", sa.Double(), server_default=ZERO, nullable=False)]


def _counts() -> None:
    moves, tallies = "workflow_moves", "workflow_tallies"
    op.create_table(
        moves,
        *_record(),
        sa.Column("workflow_id", sa.UUID(), nullable=False),
        sa.Column("workflow_version_id", sa.UUID(), nullable=False),
        sa.Column("node_id", sa.Text(), nullable=False),
        *_counted(),
        _refers(moves, "app_id", "apps"),
        _refers(moves, "workflow_id", "workflows"),
        _refers(moves, "workflow_version_id", "workflow_versions"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{moves}"),
    )
    op.create_index("ix_workflow_moves_workflow_id", moves, ["workflow_id"])
    op.create_index("ix_workflow_moves_version_id", moves, ["workflow_version_id"])
    op.create_table(
        tallies,
        sa.Column("workflow_version_id", sa.UUID(), nullable=False),
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("workflow_id", sa.UUID(), nullable=False),
        *_counted(),
        _refers(tallies, "app_id", "apps"),
        _refers(tallies, "workflow_id", "workflows"),
        _refers(tallies, "workflow_version_id", "workflow_versions"),
        sa.PrimaryKeyConstraint("workflow_version_id", "node_id", name=f"pk_{tallies}"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index("ix_workflow_tallies_workflow_id", tallies, ["workflow_id"])


def downgrade() -> None:
    for table in reversed(TABLES):
        unwall(table)
        op.drop_table(table)
