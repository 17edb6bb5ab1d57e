"""Recipients by contact: why somebody got a broadcast or not, and segments of those who got one."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INDEX = "ix_broadcast_recipients_contact_id_broadcast_id"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # it blocks neither reads nor writes, so it may wait for whatever runs
        op.execute("SET lock_timeout = 0")
        # what a broken attempt has left
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}")
        op.create_index(INDEX, "broadcast_recipients", ["contact_id", "broadcast_id"], postgresql_concurrently=True)
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    op.drop_index(INDEX, table_name="broadcast_recipients")
