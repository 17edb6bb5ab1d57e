"""Executions in operators' hands: all of a workflow cancelled; and those that are deleted one day, found by index."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
CANCELLING = "ix_workflows_cancelled_until"
ENDED = "ix_workflow_executions_ended_at"
OLD, NEW = sa.text("ended_at IS NOT NULL"), sa.text("ended_at IS NOT NULL AND entry_key IS NULL")


def upgrade() -> None:
    # first, as it is by itself: when it breaks, upgrading begins anew
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {ENDED}")
        op.create_index(ENDED, "workflow_executions", ["ended_at"], postgresql_where=NEW, postgresql_concurrently=True)
        op.execute("RESET lock_timeout")
    op.add_column("workflows", sa.Column("cancelled_until", INSTANT, nullable=True))
    op.create_index(CANCELLING, "workflows", ["id"], postgresql_where=sa.text("cancelled_until IS NOT NULL"))


def downgrade() -> None:
    op.drop_index(CANCELLING, table_name="workflows")
    op.drop_column("workflows", "cancelled_until")
    op.drop_index(ENDED, table_name="workflow_executions")
    op.create_index(ENDED, "workflow_executions", ["ended_at"], postgresql_where=OLD)
