"""Indexes by age, for what is deleted when it is old. They are made while the product runs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


INDEXES = ("ix_facts_dispatched", "ix_in_app_messages_created_at", "ix_user_sessions_ended")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # it blocks neither reads nor writes, so it may wait for whatever runs
        op.execute("SET lock_timeout = 0")
        for name in INDEXES:
            # what a broken attempt has left
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.create_index(
            "ix_facts_dispatched",
            "facts",
            ["created_at"],
            postgresql_where=sa.text("dispatched_at IS NOT NULL"),
            postgresql_concurrently=True,
        )
        op.create_index(
            "ix_in_app_messages_created_at", "in_app_messages", ["created_at"], postgresql_concurrently=True
        )
        op.create_index(
            "ix_user_sessions_ended",
            "user_sessions",
            [sa.text("LEAST(revoked_at, expires_at)")],
            postgresql_concurrently=True,
        )
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    op.drop_index("ix_user_sessions_ended", table_name="user_sessions")
    op.drop_index("ix_in_app_messages_created_at", table_name="in_app_messages")
    op.drop_index("ix_facts_dispatched", table_name="facts")
