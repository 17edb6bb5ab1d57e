"""Notifications: what people are told of, how each wants to be told, and the mails that are due for it."""

import sqlalchemy as sa
from alembic import op

from migrations.walls import unwall, wall

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
KIND = sa.String(32)


def upgrade() -> None:
    _notifications()
    _table(
        "notification_preferences",
        sa.Column("type", KIND, nullable=False),
        sa.Column("in_app", sa.Boolean(), nullable=False),
        sa.Column("email", KIND, nullable=False),
        key=("type",),
    )
    _table(
        "notification_digests",
        sa.Column("period", KIND, nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
    )
    _table(
        "notification_mailings",
        sa.Column("mode", KIND, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        key=("mode",),
    )
    op.create_index("ix_notification_mailings_due_at", "notification_mailings", ["due_at"])


def _notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("type", KIND, nullable=False),
        sa.Column("entity_id", sa.UUID(), nullable=False),
        sa.Column("conversation_id", sa.UUID(), nullable=True),
        sa.Column("message_id", sa.UUID(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("in_app", sa.Boolean(), nullable=False),
        sa.Column("grows", sa.Boolean(), nullable=False),
        sa.Column("last_at", INSTANT, nullable=False),
        sa.Column("read_at", INSTANT, nullable=True),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("unmailed", sa.Boolean(), nullable=False),
        sa.Column("emailed_at", INSTANT, nullable=True),
        *_of_member("notifications"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_notifications_conversation_id_conversations",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_notifications"),
    )
    op.create_index(
        "uq_notifications_growing",
        "notifications",
        ["app_id", "user_id", "type", "entity_id"],
        unique=True,
        postgresql_where=sa.text("grows"),
    )
    op.create_index("ix_notifications_listed", "notifications", ["app_id", "user_id", "archived", "last_at", "id"])
    op.create_index(
        "ix_notifications_unread",
        "notifications",
        ["app_id", "user_id", "last_at", "id"],
        postgresql_where=sa.text("read_at IS NULL"),
    )
    op.create_index("ix_notifications_conversation_id_user_id", "notifications", ["conversation_id", "user_id"])
    op.create_index("ix_notifications_last_at", "notifications", ["last_at"])
    wall("notifications")


def _table(name: str, *columns: sa.Column[object], key: tuple[str, ...] = ()) -> None:
    op.create_table(
        name,
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        *columns,
        *_of_member(name),
        sa.PrimaryKeyConstraint("app_id", "user_id", *key, name=f"pk_{name}"),
    )
    wall(name)


def _of_member(table: str) -> list[sa.ForeignKeyConstraint]:
    """A row goes with its app, and with the person's place in it."""
    member = ["app_id", "user_id"]
    return [
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name=f"fk_{table}_app_id_apps", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            member,
            [f"memberships.{column}" for column in member],
            name=f"fk_{table}_app_id_memberships",
            ondelete="CASCADE",
        ),
    ]


def downgrade() -> None:
    for table in ("notification_mailings", "notification_digests", "notification_preferences", "notifications"):
        unwall(table)
        op.drop_table(table)
