"""Broadcasts by several channels: deferred, skipped and uncertain recipients, variants, schedules, rollups."""

import sqlalchemy as sa
from alembic import op

from migrations.walls import through, unwall, wall

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KIND = sa.String(32)
MAILBOX = "uq_broadcast_recipients_mailbox"

ADDED = {
    "broadcasts": {
        "segment_id": "uuid",
        "segment_query": "jsonb",
        "exclude_segment_id": "uuid",
        "exclude_query": "jsonb",
        "channels": "text[] NOT NULL DEFAULT '{IN_APP}'",
        "local_at": "timestamp",
        "time_zone": "text NOT NULL DEFAULT 'UTC'",
        "cron": "text",
        "repeats_id": "uuid",
        "quiet_policy": "varchar(32) NOT NULL DEFAULT 'DEFER'",
        "ignores_cap": "boolean NOT NULL DEFAULT false",
        "speed": "integer",
        "is_test": "boolean NOT NULL DEFAULT false",
        "variants": "jsonb NOT NULL DEFAULT '[]'",
        "test_share": "integer NOT NULL DEFAULT 100",
        "winner_metric": "varchar(32) NOT NULL DEFAULT 'OPENED'",
        "winner_after_minutes": "integer NOT NULL DEFAULT 60",
        "winner_due_at": "timestamptz",
        "winner": "integer",
        # The audience is read contact by contact. What is being written begins anew: who has a row is passed over.
        "after_contact_id": "uuid",
    },
    "broadcast_recipients": {
        "variant": "smallint",
        "channel": "varchar(32)",
        "deferred_until": "timestamptz",
        "attempts": "smallint NOT NULL DEFAULT 0",
        "provider_id": "text",
    },
    "broadcast_chunks": {
        "blind": "integer[] NOT NULL DEFAULT '{}'",
        "redo": "varchar(32)",
        "skipped": "integer NOT NULL DEFAULT 0",
        "uncertain": "integer NOT NULL DEFAULT 0",
    },
    "broadcast_tallies": {"settled": "integer NOT NULL DEFAULT 0"},
}


def upgrade() -> None:
    _index_mailboxes()
    for table, columns in ADDED.items():
        op.execute(f"ALTER TABLE {table} {', '.join(f'ADD COLUMN {name} {kind}' for name, kind in columns.items())}")
    op.create_foreign_key(
        "fk_broadcasts_repeats_id_broadcasts", "broadcasts", "broadcasts", ["repeats_id"], ["id"], ondelete="SET NULL"
    )
    op.drop_column("broadcasts", "cursor")
    op.alter_column("broadcast_recipients", "device_id", nullable=True)
    op.alter_column("broadcast_recipients", "platform", nullable=True)
    _make_rollups()


def _index_mailboxes() -> None:
    """First, as it ends the transaction: a migration that breaks off later can be run again."""
    with op.get_context().autocommit_block():
        # it blocks neither reads nor writes, so it may wait for whatever runs
        op.execute("SET lock_timeout = 0")
        # what a broken attempt has left
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {MAILBOX}")
        op.create_index(
            MAILBOX,
            "broadcast_recipients",
            ["broadcast_id", "contact_id"],
            unique=True,
            postgresql_where=sa.text("device_id IS NULL"),
            postgresql_concurrently=True,
        )
        op.execute("RESET lock_timeout")


def _make_rollups() -> None:
    op.create_table(
        "broadcast_rollups",
        sa.Column("broadcast_id", sa.UUID(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("measure", KIND, nullable=False),
        sa.Column("dimension", KIND, nullable=False),
        sa.Column("variant", sa.SmallInteger(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False, server_default="0"),
        sa.ForeignKeyConstraint(
            ["broadcast_id"], ["broadcasts.id"], name="fk_broadcast_rollups_broadcast_id_broadcasts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "broadcast_id", "shard", "measure", "dimension", "variant", "bucket", name="pk_broadcast_rollups"
        ),
        postgresql_with={"fillfactor": 50},
    )
    wall("broadcast_rollups", through("broadcasts", key="broadcast_rollups.broadcast_id"))


def downgrade() -> None:
    """What goes by e-mail, and what waits or is uncertain, is unknown to the product of before: it counts as failed."""
    unwall("broadcast_rollups")
    op.drop_table("broadcast_rollups")
    op.drop_index(MAILBOX, table_name="broadcast_recipients")
    op.execute("DELETE FROM broadcast_recipients WHERE device_id IS NULL")
    op.execute("UPDATE broadcast_recipients SET status = 'FAILED' WHERE status IN ('DEFERRED', 'UNCERTAIN', 'SKIPPED')")
    op.execute("UPDATE broadcast_chunks SET status = 'READY' WHERE status = 'WAITING'")
    op.execute("UPDATE broadcasts SET target_type = 'ALL_USERS', status = 'CANCELLED' WHERE target_type = 'SEGMENT'")
    op.alter_column("broadcast_recipients", "device_id", nullable=False)
    op.alter_column("broadcast_recipients", "platform", nullable=False)
    op.add_column("broadcasts", sa.Column("cursor", sa.UUID()))
    op.drop_constraint("fk_broadcasts_repeats_id_broadcasts", "broadcasts", type_="foreignkey")
    for table, columns in ADDED.items():
        op.execute(f"ALTER TABLE {table} {', '.join(f'DROP COLUMN {name}' for name in columns)}")
