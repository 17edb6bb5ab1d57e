"""Accounts: second factors, API keys, invitations, password resets, e-mails, the audit log."""

import hashlib
from uuid import UUID

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from core.ids import new_id

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
# What a key can have. (What came later, nobody with such a key knows of.)
SCOPES = [
    "VIEW_CONTACTS",
    "EDIT_CONTACTS",
    "DELETE_CONTACTS",
    "MANAGE_DEVICES",
    "VIEW_BROADCASTS",
    "CREATE_BROADCASTS",
    "EDIT_BROADCASTS",
    "DELETE_BROADCASTS",
    "SEND_BROADCASTS",
    "MANAGE_SETTINGS",
    "VIEW_TEAM",
    "VIEW_AUDIT_LOG",
]

# Statement triggers of the parent do not see what is done to a partition itself, so each partition has them too.
GUARD = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
"""
REFUSE = """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege'; END $$
"""
# Both run with the rights of the owner: who only writes entries may make room for them, and let go of what is old.
MAKE_MONTH = """
CREATE FUNCTION audit_make_month(instant timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  month timestamptz := date_trunc('month', instant, 'UTC');
  name text := 'audit_entries_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
  IF to_regclass(name) IS NOT NULL THEN RETURN; END IF;
  EXECUTE format(
    'CREATE TABLE %I PARTITION OF audit_entries FOR VALUES FROM (%L) TO (%L)',
    name, month, date_trunc('month', month + interval '40 days', 'UTC')
  );
  EXECUTE format(
    'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I '
    'FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()', name
  );
EXCEPTION
  -- no clock has run for a year, so entries of that month are in the default partition already: they stay there
  WHEN check_violation THEN RETURN;
END $$
"""
DROP_MONTHS = """
CREATE FUNCTION audit_drop_months() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  old record;
  dropped integer := 0;
BEGIN
  FOR old IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'audit_entries'::regclass AND c.relname ~ '^audit_entries_[0-9]{4}_[0-9]{2}$'
      AND (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC' < now() - interval '90 days'
  LOOP
    EXECUTE format('DROP TABLE %I', old.relname);
    dropped := dropped + 1;
  END LOOP;
  RETURN dropped;
END $$
"""


def upgrade() -> None:
    _alter()
    _second_factor()
    _api_keys()
    _team()
    _mails()
    _audit()


def _alter() -> None:
    op.add_column("apps", sa.Column("requires_two_factor", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("apps", sa.Column("rate_limits", JSONB, server_default="{}", nullable=False))
    op.add_column("user_sessions", sa.Column("previous_hash", sa.Text(), nullable=True))
    op.add_column("user_sessions", sa.Column("renewed_at", INSTANT, nullable=True))
    op.add_column("user_sessions", sa.Column("second_factor_at", INSTANT, nullable=True))
    # Sessions go after 30 days and are few: no need to build it beside them.
    op.create_index("ix_user_sessions_previous_hash", "user_sessions", ["previous_hash"])


def _second_factor() -> None:
    op.create_table(
        "two_factors",
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("confirmed_at", INSTANT, nullable=True),
        sa.Column("last_step", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        _of("two_factors", "user_id", "admin_users"),
        sa.PrimaryKeyConstraint("user_id", name="pk_two_factors"),
    )
    op.create_table(
        "backup_codes",
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("slot", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.Column("used_at", INSTANT, nullable=True),
        _of("backup_codes", "user_id", "admin_users"),
        sa.PrimaryKeyConstraint("user_id", "slot", name="pk_backup_codes"),
    )
    op.create_table(
        "password_resets",
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        _of("password_resets", "user_id", "admin_users"),
        sa.PrimaryKeyConstraint("user_id", name="pk_password_resets"),
        sa.UniqueConstraint("token_hash", name="uq_password_resets_token_hash"),
    )


def _api_keys() -> None:
    op.create_table(
        "api_keys",
        *_record("api_keys"),
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mode", sa.String(32), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_by_id", sa.UUID(), nullable=True),
        sa.Column("expires_at", INSTANT, nullable=True),
        sa.Column("revoked_at", INSTANT, nullable=True),
        sa.Column("last_used_at", INSTANT, nullable=True),
        sa.Column("replaced_by_id", sa.UUID(), nullable=True),
        _of("api_keys", "app_id", "apps"),
        _of("api_keys", "created_by_id", "admin_users", "SET NULL"),
        _of("api_keys", "replaced_by_id", "api_keys", "SET NULL"),
        sa.UniqueConstraint("secret_hash", name="uq_api_keys_secret_hash"),
    )
    op.create_index("ix_api_keys_app_id_id", "api_keys", ["app_id", "id"])
    if any(column["name"] == "api_key" for column in sa.inspect(op.get_bind()).get_columns("apps")):
        _first_keys()


def _first_keys() -> None:
    """The single key that each app of the product before this one had becomes its first: it goes on working.

    Its column stays as it is, for the way back, but for that new apps need none in it. Once nobody needs the way back,
    drop it by hand, as it holds keys in the clear: ALTER TABLE apps DROP COLUMN api_key.
    """
    op.execute("ALTER TABLE apps ALTER COLUMN api_key DROP NOT NULL")
    old = sa.text("SELECT id, api_key::text FROM apps WHERE btrim(api_key::text) <> '' ORDER BY created_at, id")
    columns = ("id", "app_id", "name", "mode", "prefix", "secret_hash", "scopes")
    keys = sa.table("api_keys", *(sa.column(name, sa.ARRAY(sa.Text) if name == "scopes" else None) for name in columns))
    op.bulk_insert(keys, [_first_key(app_id, key) for app_id, key in op.get_bind().execute(old)])


def _first_key(app_id: UUID, key: str) -> dict[str, object]:
    return {
        "id": new_id(),
        "app_id": app_id,
        "name": "First key",
        "mode": "LIVE",
        "prefix": key[:8],
        "secret_hash": hashlib.sha256(key.encode()).hexdigest(),
        "scopes": SCOPES,
    }


def _team() -> None:
    op.create_table(
        "invitations",
        *_record("invitations"),
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("invited_by_id", sa.UUID(), nullable=True),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("accepted_at", INSTANT, nullable=True),
        sa.Column("revoked_at", INSTANT, nullable=True),
        _of("invitations", "app_id", "apps"),
        _of("invitations", "invited_by_id", "admin_users", "SET NULL"),
        sa.UniqueConstraint("token_hash", name="uq_invitations_token_hash"),
    )
    op.create_index("ix_invitations_app_id_id", "invitations", ["app_id", "id"])
    is_open = sa.text("accepted_at IS NULL AND revoked_at IS NULL")
    op.create_index("uq_invitations_open", "invitations", ["app_id", "email"], unique=True, postgresql_where=is_open)


def _mails() -> None:
    op.create_table(
        "mails",
        *_record("mails"),
        sa.Column("app_id", sa.UUID(), nullable=True),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", INSTANT, nullable=True),
        sa.Column("lease_until", INSTANT, nullable=True),
        sa.Column("sent_at", INSTANT, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        _of("mails", "app_id", "apps"),
    )
    op.create_index("ix_mails_created_at", "mails", ["created_at"])
    op.create_index("ix_mails_due", "mails", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL"))


def _audit() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("session_id", sa.UUID(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.UUID(), nullable=True),
        sa.Column("before", JSONB, nullable=True),
        sa.Column("after", JSONB, nullable=True),
        sa.PrimaryKeyConstraint("id", "created_at", name="pk_audit_entries"),
        postgresql_partition_by="RANGE (created_at)",
    )
    op.create_index("ix_audit_entries_app_id_id", "audit_entries", ["app_id", "id"])
    op.create_index("ix_audit_entries_app_id_entity_id_id", "audit_entries", ["app_id", "entity_id", "id"])
    op.execute(REFUSE)
    op.execute(GUARD.format(table="audit_entries"))
    op.execute("CREATE TABLE audit_entries_default PARTITION OF audit_entries DEFAULT")
    op.execute(GUARD.format(table="audit_entries_default"))
    op.execute(MAKE_MONTH)
    op.execute(DROP_MONTHS)
    for months in range(13):
        op.execute(f"SELECT audit_make_month(now() + interval '{months} months')")


def _record(table: str) -> tuple[sa.Column[object] | sa.PrimaryKeyConstraint, ...]:
    return (
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )


def _of(table: str, column: str, other: str, ondelete: str = "CASCADE") -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}_{other}"
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=name, ondelete=ondelete)


def downgrade() -> None:
    op.execute("DROP TABLE audit_entries")
    for function in ("audit_make_month(timestamptz)", "audit_drop_months()", "audit_refuse()"):
        op.execute(f"DROP FUNCTION {function}")
    for table in ("mails", "invitations", "api_keys", "password_resets", "backup_codes", "two_factors"):
        op.drop_table(table)
    op.drop_index("ix_user_sessions_previous_hash", "user_sessions")
    for column in ("second_factor_at", "renewed_at", "previous_hash"):
        op.drop_column("user_sessions", column)
    op.drop_column("apps", "rate_limits")
    op.drop_column("apps", "requires_two_factor")
