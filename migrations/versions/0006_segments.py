"""Events, segments, and the indexes by which segments find contacts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.walls import unwall, wall

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
OF_CONTACTS = {
    "ix_contacts_app_id_plan_country": {"columns": ["app_id", "plan", "country"]},
    "ix_contacts_app_id_country": {"columns": ["app_id", "country"]},
    "ix_contacts_app_id_created_at": {"columns": ["app_id", "created_at"]},
    "ix_contacts_attributes": {
        "columns": ["attributes"],
        "postgresql_using": "gin",
        "postgresql_ops": {"attributes": "jsonb_path_ops"},
    },
}


def upgrade() -> None:
    """The indexes first, outside a transaction: should one of them fail, all of it can be run again."""
    _contacts()
    _events()
    _segments()


def _contacts() -> None:
    with op.get_context().autocommit_block():
        # it blocks neither reads nor writes, so it may wait for whatever runs
        op.execute("SET lock_timeout = 0")
        for name, options in OF_CONTACTS.items():
            # what a broken attempt has left
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.create_index(name, "contacts", postgresql_concurrently=True, **options)
        op.execute("RESET lock_timeout")


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("contact_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("properties", JSONB, nullable=False),
        sa.Column("occurred_at", INSTANT, nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_events_app_id_apps", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name="fk_events_contact_id_contacts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_contact_id_name_occurred_at", "events", ["contact_id", "name", "occurred_at"])
    op.create_index("ix_events_app_id_name_occurred_at", "events", ["app_id", "name", "occurred_at"])
    op.create_index(
        "uq_events_app_id_key",
        "events",
        ["app_id", "key"],
        unique=True,
        postgresql_where=sa.text("key IS NOT NULL"),
    )
    wall("events")


def _segments() -> None:
    op.create_table(
        "segments",
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("conditions", JSONB, nullable=False),
        sa.Column("created_by_id", sa.UUID(), nullable=True),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_segments_app_id_apps", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["admin_users.id"], name="fk_segments_created_by_id_admin_users", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_segments"),
    )
    op.create_index("ix_segments_app_id_id", "segments", ["app_id", "id"])
    op.create_index("uq_segments_app_id_name", "segments", ["app_id", sa.text("lower(name)")], unique=True)
    wall("segments")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name in OF_CONTACTS:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    for table in ("segments", "events"):
        unwall(table)
        op.drop_table(table)
