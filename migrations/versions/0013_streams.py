"""Event streams: what happened, numbered in the order of the commits."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.walls import unwall, wall

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TIME = sa.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "streams",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("app_id", sa.Uuid(), sa.ForeignKey("apps.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("head", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("app_id", "name", name="uq_streams_app_id_name"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "stream_events",
        sa.Column("stream_id", sa.BigInteger(), sa.ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("seq", sa.BigInteger(), primary_key=True),
        sa.Column("app_id", sa.Uuid(), sa.ForeignKey("apps.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("data", JSONB(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_index("ix_stream_events_created_at", "stream_events", ["created_at"])
    wall("streams")
    wall("stream_events")


def downgrade() -> None:
    unwall("stream_events")
    unwall("streams")
    op.drop_table("stream_events")
    op.drop_table("streams")
