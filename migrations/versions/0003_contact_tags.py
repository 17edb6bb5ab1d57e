"""Contacts are found by their tags."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # it blocks neither reads nor writes, so it may wait for whatever runs
        op.execute("SET lock_timeout = 0")
        # what a broken attempt has left
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_contacts_tags")
        op.create_index("ix_contacts_tags", "contacts", ["tags"], postgresql_using="gin", postgresql_concurrently=True)
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_contacts_tags", table_name="contacts", postgresql_concurrently=True)
