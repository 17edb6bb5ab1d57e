"""Row-level security: two roles that own nothing, and what each reaches."""

from alembic import op

from migrations.walls import APP, SERVICE, TENANT, make_roles, through, unwall, wall

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

OF_AN_APP = (
    "api_keys",
    "broadcasts",
    "contacts",
    "devices",
    "facts",
    "idempotency_keys",
    "in_app_messages",
    "invitations",
    "user_sessions",
)
OF_A_BROADCAST = ("broadcast_chunks", "broadcast_recipients", "broadcast_tallies")
# What proves a person, and what their lost password is replaced by: an app reaches none of it.
OF_A_PERSON = ("backup_codes", "password_resets")
OTHERS = ("apps", "memberships", "admin_users", "two_factors", "mails", "audit_entries")
# These run with the rights of the owner, who drops and makes partitions: nothing for everybody.
OF_THE_OWNER = ("audit_make_month(timestamptz)", "audit_drop_months()")


def upgrade() -> None:
    make_roles()
    for table in OF_AN_APP:
        wall(table)
    for table in OF_A_BROADCAST:
        wall(table, through("broadcasts", key=f"{table}.broadcast_id"))
    for table in OF_A_PERSON:
        wall(table, "false", tenant="")
    # What makes an app, brings a person into one, or ends either is never the work of one app.
    wall("apps", f"id = {APP}", tenant="SELECT, UPDATE")
    wall("memberships", tenant="SELECT, UPDATE (role), DELETE")
    wall("admin_users", through("memberships", column="user_id", key="admin_users.id"), tenant="SELECT")
    wall("two_factors", through("memberships", column="user_id", key="two_factors.user_id"), tenant="SELECT")
    # An e-mail holds links that work once: an app orders some, and never sees one again.
    wall("mails", tenant="INSERT")
    wall("audit_entries", tenant="SELECT, INSERT", service="SELECT, INSERT")
    op.execute(f"GRANT SELECT ON alembic_version TO {TENANT}, {SERVICE}")
    for function in OF_THE_OWNER:
        op.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {SERVICE}")


def downgrade() -> None:
    """The roles stay: they belong to the whole cluster, and its other databases may use them."""
    for function in OF_THE_OWNER:
        op.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM {SERVICE}")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO PUBLIC")
    op.execute(f"REVOKE ALL ON alembic_version FROM {TENANT}, {SERVICE}")
    tables = (*OF_AN_APP, *OF_A_BROADCAST, *OF_A_PERSON, *OTHERS)
    for table in tables:
        unwall(table)
    op.execute(f"REVOKE USAGE ON SCHEMA public FROM {TENANT}, {SERVICE}")
