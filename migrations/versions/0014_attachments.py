"""Files that belong to messages."""

import sqlalchemy as sa
from alembic import op

from migrations.walls import wall

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "attachments",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("uploader", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("storage_key", sa.Text(), nullable=False),
        sa.Column("stored_at", INSTANT, nullable=True),
        sa.Column("message_id", sa.UUID(), nullable=True),
        sa.Column("position", sa.SmallInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_attachments"),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_attachments_app_id_apps", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name="fk_attachments_message_id_messages", ondelete="SET NULL"
        ),
    )
    attached, loose = sa.text("message_id IS NOT NULL"), sa.text("message_id IS NULL")
    op.create_index("ix_attachments_message_id", "attachments", ["message_id"], postgresql_where=attached)
    op.create_index("ix_attachments_loose", "attachments", ["created_at"], postgresql_where=loose)
    wall("attachments")


def downgrade() -> None:
    op.drop_table("attachments")
