"""Indexes by age, for what is deleted when it is old. They are made while the product runs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_facts_dispatched",
            "facts",
            ["created_at"],
            postgresql_where=sa.text("dispatched_at IS NOT NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.create_index(
            "ix_in_app_messages_created_at",
            "in_app_messages",
            ["created_at"],
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.create_index(
            "ix_user_sessions_ended",
            "user_sessions",
            [sa.text("LEAST(revoked_at, expires_at)")],
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    op.drop_index("ix_user_sessions_ended", table_name="user_sessions")
    op.drop_index("ix_in_app_messages_created_at", table_name="in_app_messages")
    op.drop_index("ix_facts_dispatched", table_name="facts")
