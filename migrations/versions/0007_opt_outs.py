"""Opt-outs, suppressed addresses, quiet hours, frequency caps."""

import sqlalchemy as sa
from alembic import op

from migrations.walls import unwall, wall

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
ENUM = sa.String(32)
TABLES = ("opt_outs", "suppressions", "frequency_marks")


def upgrade() -> None:
    _settings()
    _opt_outs()
    _suppressions()
    _frequency_marks()
    for table in TABLES:
        wall(table)


def _settings() -> None:
    op.add_column("apps", sa.Column("time_zone", sa.Text(), server_default="UTC", nullable=False))
    for name in ("quiet_start", "quiet_end"):
        op.add_column("apps", sa.Column(name, sa.Time(), nullable=True))
    for name in ("frequency_cap_count", "frequency_cap_hours"):
        op.add_column("apps", sa.Column(name, sa.Integer(), nullable=True))


def _opt_outs() -> None:
    op.create_table(
        "opt_outs",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("contact_id", sa.UUID(), nullable=False),
        sa.Column("channel", ENUM, nullable=True),
        sa.Column("reason", ENUM, nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        _of("opt_outs", "app_id", "apps"),
        _of("opt_outs", "contact_id", "contacts"),
        sa.PrimaryKeyConstraint("id", name="pk_opt_outs"),
        sa.UniqueConstraint(
            "contact_id", "channel", name="uq_opt_outs_contact_id_channel", postgresql_nulls_not_distinct=True
        ),
    )


def _suppressions() -> None:
    op.create_table(
        "suppressions",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("channel", ENUM, nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("address_hash", sa.Text(), nullable=False),
        sa.Column("reason", ENUM, nullable=False),
        _of("suppressions", "app_id", "apps"),
        sa.PrimaryKeyConstraint("id", name="pk_suppressions"),
        sa.UniqueConstraint("app_id", "channel", "address_hash", name="uq_suppressions_app_id_channel_address_hash"),
    )
    op.create_index("ix_suppressions_app_id_id", "suppressions", ["app_id", "id"])


def _frequency_marks() -> None:
    op.create_table(
        "frequency_marks",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("contact_id", sa.UUID(), nullable=False),
        sa.Column("channel", ENUM, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        _of("frequency_marks", "app_id", "apps"),
        _of("frequency_marks", "contact_id", "contacts"),
        sa.PrimaryKeyConstraint("key", name="pk_frequency_marks"),
    )
    op.create_index("ix_frequency_marks_contact_id_at", "frequency_marks", ["contact_id", "at"])
    op.create_index("ix_frequency_marks_expires_at", "frequency_marks", ["expires_at"])


def _of(table: str, column: str, owner: str) -> sa.ForeignKeyConstraint:
    """The rows of a table go when their owner goes."""
    name = f"fk_{table}_{column}_{owner}"
    return sa.ForeignKeyConstraint([column], [f"{owner}.id"], name=name, ondelete="CASCADE")


def downgrade() -> None:
    for table in reversed(TABLES):
        unwall(table)
        op.drop_table(table)
    for name in ("frequency_cap_hours", "frequency_cap_count", "quiet_end", "quiet_start", "time_zone"):
        op.drop_column("apps", name)
