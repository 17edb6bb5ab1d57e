"""Workflows, their versions, and by what versions are found."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.walls import unwall, wall

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
KIND = sa.String(32)
# What is published never changes. That it was published by somebody who is gone is forgotten all the same.
HELD = ("id", "created_at", "app_id", "workflow_id", "number", "definition", "published_at")
REFUSE = """
CREATE FUNCTION workflow_version_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a published version of a workflow never changes' USING ERRCODE = 'restrict_violation';
END $$
"""
IMMUTABLE = f"""
CREATE TRIGGER immutable BEFORE UPDATE ON workflow_versions FOR EACH ROW
WHEN (({", ".join(f"OLD.{name}" for name in HELD)}) IS DISTINCT FROM ({", ".join(f"NEW.{name}" for name in HELD)}))
EXECUTE FUNCTION workflow_version_is_immutable()
"""


def upgrade() -> None:
    _workflows()
    _versions()
    _triggers()


def _workflows() -> None:
    op.create_table(
        "workflows",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("status", KIND, nullable=False),
        sa.Column("definition", JSONB, nullable=False),
        sa.Column("active_version_id", sa.UUID(), nullable=True),
        sa.Column("created_by_id", sa.UUID(), nullable=True),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_workflows_app_id_apps", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["admin_users.id"], name="fk_workflows_created_by_id_admin_users", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_workflows"),
    )
    op.create_index("ix_workflows_app_id_id", "workflows", ["app_id", "id"])
    op.create_index("ix_workflows_app_id_status_id", "workflows", ["app_id", "status", "id"])
    wall("workflows")


def _versions() -> None:
    op.create_table(
        "workflow_versions",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("workflow_id", sa.UUID(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("definition", JSONB, nullable=False),
        sa.Column("published_at", INSTANT, nullable=False),
        sa.Column("published_by_id", sa.UUID(), nullable=True),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_workflow_versions_app_id_apps", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["workflow_id"], ["workflows.id"], name="fk_workflow_versions_workflow_id_workflows", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["published_by_id"],
            ["admin_users.id"],
            name="fk_workflow_versions_published_by_id_admin_users",
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_workflow_versions"),
    )
    op.create_index("uq_workflow_versions_number", "workflow_versions", ["workflow_id", "number"], unique=True)
    op.execute(REFUSE)
    op.execute(IMMUTABLE)
    wall("workflow_versions", tenant="SELECT, INSERT", service="SELECT, INSERT")


def _triggers() -> None:
    op.create_table(
        "workflow_triggers",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("kind", KIND, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("workflow_id", sa.UUID(), nullable=False),
        sa.Column("workflow_version_id", sa.UUID(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_workflow_triggers_app_id_apps", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["workflow_id"], ["workflows.id"], name="fk_workflow_triggers_workflow_id_workflows", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workflow_version_id"],
            ["workflow_versions.id"],
            name="fk_workflow_triggers_workflow_version_id_workflow_versions",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_workflow_triggers"),
    )
    op.create_index(
        "ix_workflow_triggers_app_id_kind_key",
        "workflow_triggers",
        ["app_id", "kind", "key"],
        postgresql_where=sa.text("active"),
    )
    op.create_index("ix_workflow_triggers_workflow_id", "workflow_triggers", ["workflow_id"])
    op.create_index("ix_workflow_triggers_workflow_version_id", "workflow_triggers", ["workflow_version_id"])
    wall("workflow_triggers")


def downgrade() -> None:
    for table in ("workflow_triggers", "workflow_versions", "workflows"):
        unwall(table)
        op.drop_table(table)
    op.execute("DROP FUNCTION workflow_version_is_immutable()")
