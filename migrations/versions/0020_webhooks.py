"""Webhooks, what they are told, and what came of it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.walls import SERVICE, TENANT, unwall, wall

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
KIND = sa.String(32)
TEXTS = sa.ARRAY(sa.Text())


def upgrade() -> None:
    _webhooks()
    _events()
    _deliveries()
    _attempts()


def _own(table: str) -> list[sa.schema.SchemaItem]:
    """What every one of these tables has."""
    return [
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name=f"fk_{table}_app_id_apps", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    ]


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        *_own("webhooks"),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("event_types", TEXTS, nullable=False),
        sa.Column("header_names", TEXTS, nullable=False),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("previous_secret", sa.Text(), nullable=True),
        sa.Column("previous_secret_expires_at", INSTANT, nullable=True),
        sa.Column("secret_rotated_at", INSTANT, nullable=False),
        sa.Column("disabled_reason", KIND, nullable=True),
        sa.Column("disabled_at", INSTANT, nullable=True),
        sa.Column("failing_since", INSTANT, nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("paused_until", INSTANT, nullable=True),
        sa.Column("created_by_id", sa.UUID(), nullable=True),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("deleted_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["admin_users.id"], name="fk_webhooks_created_by_id_admin_users", ondelete="SET NULL"
        ),
    )
    op.create_index("ix_webhooks_app_id_id", "webhooks", ["app_id", "id"])
    told, gone = sa.text("disabled_reason IS NULL AND deleted_at IS NULL"), sa.text("deleted_at IS NOT NULL")
    op.create_index("ix_webhooks_told", "webhooks", ["app_id"], postgresql_where=told)
    op.create_index("ix_webhooks_deleted_at", "webhooks", ["deleted_at"], postgresql_where=gone)
    wall("webhooks")


def _events() -> None:
    op.create_table(
        "webhook_events",
        *_own("webhook_events"),
        sa.Column("event_type", KIND, nullable=False),
        sa.Column("entity_id", sa.UUID(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
    )
    op.create_index("ix_webhook_events_created_at", "webhook_events", ["created_at"])
    op.execute("CREATE SEQUENCE webhook_event_sequence")
    op.execute(f"GRANT USAGE ON SEQUENCE webhook_event_sequence TO {TENANT}, {SERVICE}")
    wall("webhook_events", tenant="SELECT, INSERT")


def _deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        *_own("webhook_deliveries"),
        sa.Column("webhook_id", sa.UUID(), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("event_type", KIND, nullable=False),
        sa.Column("is_test", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("status", KIND, server_default="PENDING", nullable=False),
        sa.Column("attempt_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", INSTANT, nullable=True),
        sa.Column("lease_until", INSTANT, nullable=True),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("failure", KIND, nullable=True),
        sa.Column("delivered_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name="fk_webhook_deliveries_webhook_id_webhooks", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["webhook_events.id"],
            name="fk_webhook_deliveries_event_id_webhook_events",
            ondelete="CASCADE",
        ),
        postgresql_with={"fillfactor": 80},
    )
    table = "webhook_deliveries"
    for name, columns, where in (
        ("due", ["webhook_id", "due_at"], "due_at IS NOT NULL"),
        ("leased", ["webhook_id"], "lease_until IS NOT NULL"),
        ("tests", ["due_at"], "is_test AND due_at IS NOT NULL"),
    ):
        op.create_index(f"ix_{table}_{name}", table, columns, postgresql_where=sa.text(where))
    op.create_index(f"ix_{table}_webhook_id_id", table, ["webhook_id", "id"])
    op.create_index(f"ix_{table}_webhook_id_status_id", table, ["webhook_id", "status", "id"])
    op.create_index(f"ix_{table}_event_id", table, ["event_id"])
    wall(table, tenant="SELECT, INSERT, UPDATE")


def _attempts() -> None:
    op.create_table(
        "webhook_attempts",
        *_own("webhook_attempts"),
        sa.Column("delivery_id", sa.UUID(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("request_headers", JSONB, nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("failure", KIND, nullable=True),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("response_headers", JSONB, nullable=False),
        sa.Column("response_body", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["webhook_deliveries.id"],
            name="fk_webhook_attempts_delivery_id_webhook_deliveries",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("delivery_id", "number", name="uq_webhook_attempts_delivery_id_number"),
    )
    wall("webhook_attempts", tenant="SELECT")


def downgrade() -> None:
    for table in ("webhook_attempts", "webhook_deliveries", "webhook_events", "webhooks"):
        unwall(table)
        op.drop_table(table)
    op.execute("DROP SEQUENCE webhook_event_sequence")
