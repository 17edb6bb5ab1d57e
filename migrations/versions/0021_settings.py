"""The settings of an app: branding, notifications, business hours, features."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # defaults that are constant: no row is rewritten
    for column in (
        sa.Column("logo_url", sa.Text(), nullable=True),
        sa.Column("primary_colour", sa.Text(), server_default="#DC2626", nullable=False),
        sa.Column("email_on_new_message", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("email_on_new_conversation", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("business_hours", JSONB, server_default="{}", nullable=False),
        sa.Column("features", JSONB, server_default="{}", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
    ):
        op.add_column("apps", column)


def downgrade() -> None:
    for name in (
        *("version", "features", "business_hours", "email_on_new_conversation", "email_on_new_message"),
        *("primary_colour", "logo_url"),
    ):
        op.drop_column("apps", name)
