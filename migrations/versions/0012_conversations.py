"""The inbox: conversations, how far the team has read them, messages and notes, labels."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from migrations.walls import unwall, wall

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
KIND = sa.String(32)
TABLES = ("labels", "conversations", "conversation_labels", "conversation_reads", "messages", "message_revisions")


def upgrade() -> None:
    # so that words are searched for within one app, by one index
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gin")
    _labels()
    _conversations()
    _conversation_labels()
    _conversation_reads()
    _messages()
    _message_revisions()


def _labels() -> None:
    op.create_table(
        "labels",
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("colour", sa.Text(), nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_labels_app_id_apps", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_labels"),
    )
    op.create_index("ix_labels_app_id_id", "labels", ["app_id", "id"])
    op.create_index("uq_labels_app_id_name", "labels", ["app_id", sa.text("lower(name)")], unique=True)
    wall("labels")


def _conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("contact_id", sa.UUID(), nullable=False),
        sa.Column("channel", KIND, nullable=False),
        sa.Column("status", KIND, nullable=False),
        sa.Column("snoozed_until", INSTANT, nullable=True),
        sa.Column("priority", KIND, nullable=False),
        sa.Column("assignee_id", sa.UUID(), nullable=True),
        sa.Column("queued_at", INSTANT, nullable=True),
        sa.Column("waiting_since", INSTANT, nullable=True),
        sa.Column("first_response_at", INSTANT, nullable=True),
        sa.Column("resolved_at", INSTANT, nullable=True),
        sa.Column("last_message_id", sa.UUID(), nullable=True),
        sa.Column("last_message_preview", sa.Text(), nullable=True),
        sa.Column("last_message_direction", KIND, nullable=True),
        sa.Column("last_message_at", INSTANT, nullable=True),
        sa.Column("last_inbound_at", INSTANT, nullable=True),
        sa.Column("last_activity_at", INSTANT, nullable=False),
        sa.Column("message_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("previous_id", sa.UUID(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("contact_read_message_id", sa.UUID(), nullable=True),
        sa.Column("contact_read_at", INSTANT, nullable=True),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_conversations_app_id_apps", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["assignee_id"], ["admin_users.id"], name="fk_conversations_assignee_id_admin_users", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name="fk_conversations_contact_id_contacts", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["previous_id"],
            ["conversations.id"],
            name="fk_conversations_previous_id_conversations",
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
    )
    op.create_index("ix_conversations_activity", "conversations", ["app_id", "last_activity_at", "id"])
    op.create_index(
        "ix_conversations_assignee", "conversations", ["app_id", "assignee_id", "status", "last_activity_at", "id"]
    )
    op.create_index(
        "ix_conversations_assignee_id",
        "conversations",
        ["assignee_id"],
        postgresql_where=sa.text("assignee_id IS NOT NULL"),
    )
    op.create_index(
        "ix_conversations_channel", "conversations", ["app_id", "channel", "status", "last_activity_at", "id"]
    )
    op.create_index("ix_conversations_contact_id_channel_id", "conversations", ["contact_id", "channel", "id"])
    op.create_index(
        "ix_conversations_previous_id",
        "conversations",
        ["previous_id"],
        postgresql_where=sa.text("previous_id IS NOT NULL"),
    )
    op.create_index(
        "ix_conversations_priority", "conversations", ["app_id", "priority", "status", "last_activity_at", "id"]
    )
    op.create_index(
        "ix_conversations_queued",
        "conversations",
        ["app_id", "queued_at"],
        postgresql_where=sa.text("queued_at IS NOT NULL"),
    )
    op.create_index(
        "ix_conversations_snoozed", "conversations", ["snoozed_until"], postgresql_where=sa.text("status = 'SNOOZED'")
    )
    op.create_index("ix_conversations_status", "conversations", ["app_id", "status", "last_activity_at", "id"])
    op.create_index(
        "uq_conversations_open",
        "conversations",
        ["app_id", "contact_id", "channel"],
        unique=True,
        postgresql_where=sa.text("status NOT IN ('RESOLVED', 'SPAM')"),
    )
    wall("conversations")


def _conversation_labels() -> None:
    op.create_table(
        "conversation_labels",
        sa.Column("conversation_id", sa.UUID(), nullable=False),
        sa.Column("label_id", sa.UUID(), nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("status", KIND, nullable=False),
        sa.Column("last_activity_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_conversation_labels_app_id_apps", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_conversation_labels_conversation_id_conversations",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["label_id"], ["labels.id"], name="fk_conversation_labels_label_id_labels", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("conversation_id", "label_id", name="pk_conversation_labels"),
    )
    op.create_index(
        "ix_conversation_labels_listed",
        "conversation_labels",
        ["label_id", "status", "last_activity_at", "conversation_id"],
    )
    wall("conversation_labels")


def _conversation_reads() -> None:
    op.create_table(
        "conversation_reads",
        sa.Column("conversation_id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("last_read_message_id", sa.UUID(), nullable=True),
        sa.Column("read_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_conversation_reads_app_id_apps", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_conversation_reads_conversation_id_conversations",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["admin_users.id"], name="fk_conversation_reads_user_id_admin_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("conversation_id", "user_id", name="pk_conversation_reads"),
    )
    op.create_index("ix_conversation_reads_user_id", "conversation_reads", ["user_id"])
    wall("conversation_reads")


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("conversation_id", sa.UUID(), nullable=False),
        sa.Column("channel", KIND, nullable=False),
        sa.Column("direction", KIND, nullable=False),
        sa.Column("is_note", sa.Boolean(), nullable=False),
        sa.Column("author_kind", KIND, nullable=False),
        sa.Column("author_id", sa.UUID(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("client_key", sa.Text(), nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("mentioned_ids", sa.ARRAY(sa.UUID()), nullable=False),
        sa.Column("status", KIND, nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("sent_at", INSTANT, nullable=True),
        sa.Column("delivered_at", INSTANT, nullable=True),
        sa.Column("read_at", INSTANT, nullable=True),
        sa.Column("failed_at", INSTANT, nullable=True),
        sa.Column("edited_at", INSTANT, nullable=True),
        sa.Column("deleted_at", INSTANT, nullable=True),
        sa.Column(
            "search", TSVECTOR, sa.Computed("to_tsvector('simple'::regconfig, body)", persisted=True), nullable=False
        ),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_messages_app_id_apps", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_messages_conversation_id_conversations",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        postgresql_with={"fillfactor": 90},
    )
    op.create_index("ix_messages_conversation_id_created_at_id", "messages", ["conversation_id", "created_at", "id"])
    op.create_index(
        "ix_messages_inbound",
        "messages",
        ["conversation_id", "created_at"],
        postgresql_where=sa.text("direction = 'INBOUND'"),
    )
    op.create_index("ix_messages_search", "messages", ["app_id", "search"], postgresql_using="gin")
    op.create_index(
        "uq_messages_client_key",
        "messages",
        ["author_id", "client_key"],
        unique=True,
        postgresql_where=sa.text("client_key IS NOT NULL"),
    )
    op.create_index(
        "uq_messages_provider_id",
        "messages",
        ["app_id", "channel", "provider_id"],
        unique=True,
        postgresql_where=sa.text("provider_id IS NOT NULL"),
    )
    wall("messages")


def _message_revisions() -> None:
    op.create_table(
        "message_revisions",
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("message_id", sa.UUID(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_message_revisions_app_id_apps", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name="fk_message_revisions_message_id_messages", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_message_revisions"),
    )
    op.create_index("ix_message_revisions_message_id", "message_revisions", ["message_id"])
    wall("message_revisions")


def downgrade() -> None:
    for table in reversed(TABLES):
        unwall(table)
        op.drop_table(table)
    op.execute("DROP EXTENSION btree_gin")
