"""The house: apps, team, sessions, contacts, devices, broadcasts, in-app messages, facts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# array_to_string is only STABLE to PostgreSQL, as some types print by settings; text does not
IMMUTABLE_JOIN = """
CREATE FUNCTION immutable_join(parts text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT array_to_string(parts, ' ') $$
"""
SEARCHED = (
    "lower(name || ' ' || coalesce(external_id, '') || ' ' || immutable_join(emails) || ' ' || immutable_join(phones))"
)


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.execute(IMMUTABLE_JOIN)
    op.create_table(
        "admin_users",
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_admin_users"),
        sa.UniqueConstraint("email", name="uq_admin_users_email"),
    )
    op.create_table(
        "apps",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_apps"),
    )
    op.create_table(
        "broadcasts",
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("data", JSONB, nullable=True),
        sa.Column("target_type", sa.String(32), nullable=False),
        sa.Column("contact_ids", sa.ARRAY(sa.UUID()), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("scheduled_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("sent_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("completed_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("expanded_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("cursor", sa.UUID(), nullable=True),
        sa.Column("due_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("total_recipients", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("created_by_id", sa.UUID(), nullable=True),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_broadcasts_app_id_apps", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["admin_users.id"], name="fk_broadcasts_created_by_id_admin_users", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_broadcasts"),
    )
    op.create_index("ix_broadcasts_app_id_id", "broadcasts", ["app_id", "id"], unique=False)
    op.create_index("ix_broadcasts_app_id_status_id", "broadcasts", ["app_id", "status", "id"], unique=False)
    op.create_index(
        "ix_broadcasts_due", "broadcasts", ["due_at"], unique=False, postgresql_where=sa.text("due_at IS NOT NULL")
    )
    op.create_index(
        "ix_broadcasts_scheduled",
        "broadcasts",
        ["scheduled_at"],
        unique=False,
        postgresql_where=sa.text("status = 'SCHEDULED'"),
    )
    op.create_index(
        "ix_broadcasts_sending", "broadcasts", ["id"], unique=False, postgresql_where=sa.text("status = 'SENDING'")
    )
    op.create_table(
        "contacts",
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("emails", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("phones", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("locale", sa.Text(), nullable=True),
        sa.Column("time_zone", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("tags", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("attributes", JSONB, nullable=False),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "search",
            sa.Text(),
            sa.Computed(SEARCHED, persisted=True),
            nullable=False,
        ),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_contacts_app_id_apps", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_contacts"),
        sa.UniqueConstraint("app_id", "external_id", name="uq_contacts_app_id_external_id"),
    )
    op.create_index("ix_contacts_app_id_id", "contacts", ["app_id", "id"], unique=False)
    op.create_index("ix_contacts_primary_email", "contacts", ["app_id", sa.text("(emails[1])")], unique=False)
    op.create_index("ix_contacts_primary_phone", "contacts", ["app_id", sa.text("(phones[1])")], unique=False)
    op.create_index(
        "ix_contacts_search",
        "contacts",
        ["search"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"search": "gin_trgm_ops"},
    )
    op.create_table(
        "facts",
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("entity_id", sa.UUID(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("data", JSONB, nullable=False),
        sa.Column("dispatched_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_facts_app_id_apps", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_facts"),
    )
    op.create_index(
        "ix_facts_undispatched",
        "facts",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("dispatched_at IS NULL"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_idempotency_keys_app_id_apps", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("app_id", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "memberships",
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_memberships_app_id_apps", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["admin_users.id"], name="fk_memberships_user_id_admin_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_memberships"),
        sa.UniqueConstraint("app_id", "user_id", name="uq_memberships_app_id_user_id"),
    )
    op.create_index("ix_memberships_user_id", "memberships", ["user_id"], unique=False)
    op.create_table(
        "user_sessions",
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("refresh_hash", sa.Text(), nullable=False),
        sa.Column("ip", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("last_active_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("expires_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_user_sessions_app_id_apps", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["admin_users.id"], name="fk_user_sessions_user_id_admin_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_user_sessions"),
        sa.UniqueConstraint("refresh_hash", name="uq_user_sessions_refresh_hash"),
    )
    op.create_index(
        "ix_user_sessions_live",
        "user_sessions",
        ["user_id"],
        unique=False,
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.create_table(
        "broadcast_chunks",
        sa.Column("broadcast_id", sa.UUID(), nullable=False),
        sa.Column("no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lo_seq", sa.Integer(), nullable=False),
        sa.Column("hi_seq", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("due_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("inflight_lo", sa.Integer(), nullable=True),
        sa.Column("inflight_hi", sa.Integer(), nullable=True),
        sa.Column("sent", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["broadcast_id"], ["broadcasts.id"], name="fk_broadcast_chunks_broadcast_id_broadcasts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("broadcast_id", "no", name="pk_broadcast_chunks"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index(
        "ix_broadcast_chunks_due",
        "broadcast_chunks",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "broadcast_recipients",
        sa.Column("broadcast_id", sa.UUID(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("device_id", sa.UUID(), nullable=False),
        sa.Column("contact_id", sa.UUID(), nullable=False),
        sa.Column("platform", sa.String(32), nullable=False),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("time_zone", sa.Text(), nullable=True),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("sent_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("opened_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("clicked_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["broadcast_id"],
            ["broadcasts.id"],
            name="fk_broadcast_recipients_broadcast_id_broadcasts",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("broadcast_id", "seq", name="pk_broadcast_recipients"),
        sa.UniqueConstraint("broadcast_id", "device_id", name="uq_broadcast_recipients_broadcast_id_device_id"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "broadcast_tallies",
        sa.Column("broadcast_id", sa.UUID(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("delivered", sa.Integer(), server_default="0", nullable=False),
        sa.Column("opened", sa.Integer(), server_default="0", nullable=False),
        sa.Column("clicked", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["broadcast_id"], ["broadcasts.id"], name="fk_broadcast_tallies_broadcast_id_broadcasts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("broadcast_id", "shard", name="pk_broadcast_tallies"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "devices",
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("contact_id", sa.UUID(), nullable=False),
        sa.Column("platform", sa.String(32), nullable=False),
        sa.Column("push_token", sa.Text(), nullable=True),
        sa.Column("app_version", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("last_seen_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("message_sequence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_devices_app_id_apps", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name="fk_devices_contact_id_contacts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_devices"),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index("ix_devices_app_id_id", "devices", ["app_id", "id"], unique=False)
    op.create_index("ix_devices_contact_id", "devices", ["contact_id"], unique=False)
    op.create_table(
        "in_app_messages",
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("device_id", sa.UUID(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("data", JSONB, nullable=True),
        sa.Column("delivered_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("opened_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("clicked_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_in_app_messages_app_id_apps", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name="fk_in_app_messages_device_id_devices", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_in_app_messages"),
        sa.UniqueConstraint("device_id", "sequence", name="uq_in_app_messages_device_id_sequence"),
    )
    op.create_index(
        "ix_in_app_messages_waiting",
        "in_app_messages",
        ["device_id", "sequence"],
        unique=False,
        postgresql_where=sa.text("delivered_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_in_app_messages_waiting", table_name="in_app_messages", postgresql_where=sa.text("delivered_at IS NULL")
    )
    op.drop_table("in_app_messages")
    op.drop_index("ix_devices_contact_id", table_name="devices")
    op.drop_index("ix_devices_app_id_id", table_name="devices")
    op.drop_table("devices")
    op.drop_table("broadcast_tallies")
    op.drop_table("broadcast_recipients")
    op.drop_index(
        "ix_broadcast_chunks_due", table_name="broadcast_chunks", postgresql_where=sa.text("due_at IS NOT NULL")
    )
    op.drop_table("broadcast_chunks")
    op.drop_index("ix_user_sessions_live", table_name="user_sessions", postgresql_where=sa.text("revoked_at IS NULL"))
    op.drop_table("user_sessions")
    op.drop_index("ix_memberships_user_id", table_name="memberships")
    op.drop_table("memberships")
    op.drop_index("ix_idempotency_keys_created_at", table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_index("ix_facts_undispatched", table_name="facts", postgresql_where=sa.text("dispatched_at IS NULL"))
    op.drop_table("facts")
    op.drop_index(
        "ix_contacts_search", table_name="contacts", postgresql_using="gin", postgresql_ops={"search": "gin_trgm_ops"}
    )
    op.drop_index("ix_contacts_primary_phone", table_name="contacts")
    op.drop_index("ix_contacts_primary_email", table_name="contacts")
    op.drop_index("ix_contacts_app_id_id", table_name="contacts")
    op.drop_table("contacts")
    op.drop_index("ix_broadcasts_sending", table_name="broadcasts", postgresql_where=sa.text("status = 'SENDING'"))
    op.drop_index("ix_broadcasts_scheduled", table_name="broadcasts", postgresql_where=sa.text("status = 'SCHEDULED'"))
    op.drop_index("ix_broadcasts_due", table_name="broadcasts", postgresql_where=sa.text("due_at IS NOT NULL"))
    op.drop_index("ix_broadcasts_app_id_status_id", table_name="broadcasts")
    op.drop_index("ix_broadcasts_app_id_id", table_name="broadcasts")
    op.drop_table("broadcasts")
    op.drop_table("apps")
    op.drop_table("admin_users")
    op.execute("DROP FUNCTION immutable_join")
