"""Assignment: how an app does it, what each member can take, its history, and the queue in its order."""

import sqlalchemy as sa
from alembic import op

from migrations.walls import TENANT, unwall, wall

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
URGENCY = "array_position(ARRAY['URGENT', 'HIGH', 'MEDIUM', 'LOW', 'NONE'], priority::text)"
QUEUED = sa.text("queued_at IS NOT NULL")


def upgrade() -> None:
    # first, as it is by itself: when it breaks, upgrading begins anew
    _queue()
    op.add_column("apps", sa.Column("assignment_mode", sa.String(32), server_default="MANUAL", nullable=False))
    op.add_column("apps", sa.Column("agent_capacity", sa.Integer(), server_default="20", nullable=False))
    op.add_column("apps", sa.Column("requeue_after_minutes", sa.Integer(), server_default="10", nullable=True))
    op.create_index("ix_apps_assigning", "apps", ["id"], postgresql_where=sa.text("assignment_mode <> 'MANUAL'"))
    op.add_column("memberships", sa.Column("capacity", sa.Integer(), nullable=True))
    op.add_column("memberships", sa.Column("is_away", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("memberships", sa.Column("last_assigned_at", INSTANT, nullable=True))
    op.add_column("memberships", sa.Column("absent_since", INSTANT, nullable=True))
    # who is absent is noted by the clock, for all apps
    op.execute(f"GRANT UPDATE (capacity, is_away, last_assigned_at) ON memberships TO {TENANT}")
    _assignments()


def _assignments() -> None:
    op.create_table(
        "assignments",
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("conversation_id", sa.UUID(), nullable=False),
        sa.Column("from_id", sa.UUID(), nullable=True),
        sa.Column("to_id", sa.UUID(), nullable=True),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_assignments_app_id_apps", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_assignments_conversation_id_conversations",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["from_id"], ["admin_users.id"], name="fk_assignments_from_id_admin_users", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["to_id"], ["admin_users.id"], name="fk_assignments_to_id_admin_users", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_assignments"),
    )
    op.create_index("ix_assignments_conversation_id_id", "assignments", ["conversation_id", "id"])
    for column in ("from_id", "to_id"):
        op.create_index(
            f"ix_assignments_{column}", "assignments", [column], postgresql_where=sa.text(f"{column} IS NOT NULL")
        )
    wall("assignments")


def _queue() -> None:
    """The queue in the order in which it is drained, instead of by time alone; without stopping who writes."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        # what a broken attempt has left
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_conversations_queue")
        op.create_index(
            "ix_conversations_queue",
            "conversations",
            ["app_id", sa.text(URGENCY), "waiting_since", "id"],
            postgresql_where=QUEUED,
            postgresql_concurrently=True,
        )
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_conversations_queued")
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    op.create_index("ix_conversations_queued", "conversations", ["app_id", "queued_at"], postgresql_where=QUEUED)
    op.drop_index("ix_conversations_queue", table_name="conversations")
    unwall("assignments")
    op.drop_table("assignments")
    for column in ("absent_since", "last_assigned_at", "is_away", "capacity"):
        op.drop_column("memberships", column)
    op.drop_index("ix_apps_assigning", table_name="apps")
    for column in ("requeue_after_minutes", "agent_capacity", "assignment_mode"):
        op.drop_column("apps", column)
