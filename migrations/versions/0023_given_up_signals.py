"""Signals that nobody looks at any more are found by their age, and go."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

NAME = "ix_workflow_signals_given_up"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # it blocks neither reads nor writes, so it may wait for whatever runs
        op.execute("SET lock_timeout = 0")
        # what a broken attempt has left
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")
        given_up = sa.text("due_at IS NULL")
        op.create_index(
            NAME, "workflow_signals", ["created_at"], postgresql_where=given_up, postgresql_concurrently=True
        )
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(NAME, table_name="workflow_signals", postgresql_concurrently=True)
