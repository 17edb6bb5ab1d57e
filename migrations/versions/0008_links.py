"""Tracked links, and the opens of mails by machines."""

import sqlalchemy as sa
from alembic import op

from migrations.walls import wall

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "links",
        sa.Column("broadcast_id", sa.UUID(), nullable=False),
        sa.Column("no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["broadcast_id"], ["broadcasts.id"], name="fk_links_broadcast_id_broadcasts", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_links_app_id_apps", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("broadcast_id", "no", name="pk_links"),
    )
    wall("links")
    op.add_column("broadcast_recipients", sa.Column("machine_opened_at", sa.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("broadcast_tallies", sa.Column("machine_opened", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("broadcast_tallies", "machine_opened")
    op.drop_column("broadcast_recipients", "machine_opened_at")
    op.drop_table("links")
