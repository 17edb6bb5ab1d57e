"""Walls: row-level security. A migration that makes a table makes its wall too, in one line: `wall("things")`.

Two roles reach the tables. `replyhq_tenant` is held to the rows of one app, the one in the setting `replyhq.app_id`,
and to none without it; `replyhq_service` reaches those of all apps. Neither owns anything. Both have no rights at a
table without a wall, so it cannot be forgotten.
"""

from alembic import op

TENANT, SERVICE = "replyhq_tenant", "replyhq_service"
APP = "nullif(current_setting('replyhq.app_id', true), '')::uuid"
OWN = f"app_id = {APP}"
ALL = "SELECT, INSERT, UPDATE, DELETE"

# Roles belong to the whole cluster: another database of it may have made them, or be making them at this moment.
# A login may act as a role of which it is a member; PostgreSQL 16 parts that (SET) from being one.
ROLES = f"""
DO $$
DECLARE
  may_set text := CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END;
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['{TENANT}', '{SERVICE}'] LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', role);
      END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    BEGIN
      IF NOT pg_has_role(current_user, role, may_set) OR NOT pg_has_role(current_user, role, 'USAGE') THEN
        EXECUTE format('GRANT %I TO %I', role, current_user);
      END IF;
    EXCEPTION WHEN unique_violation THEN NULL;
    END;
  END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format(
    'the login %1$I may not make the roles of the product; let an administrator run: '
    'CREATE ROLE {TENANT} NOLOGIN; CREATE ROLE {SERVICE} NOLOGIN; GRANT {TENANT}, {SERVICE} TO %1$I',
    current_user
  );
END $$
"""


def through(parent: str, *, key: str, column: str = "id") -> str:
    """The condition of a table without `app_id`: the row of `parent` can be seen whose `column` is `key`.

    Args:
        key: with its table, as `table.column`; else a column of `parent` may be taken for it.
    """
    # OFFSET 0 keeps it a look at one row by its key. Without, PostgreSQL reads all of the app's parents at times.
    return f"EXISTS (SELECT FROM {parent} p WHERE p.{column} = {key} OFFSET 0)"


def make_roles() -> None:
    """Make the two roles where they are missing, and let this login, the owner, act as both."""
    op.execute(ROLES)
    op.execute(f"GRANT USAGE ON SCHEMA public TO {TENANT}, {SERVICE}")


def wall(table: str, own: str = OWN, *, tenant: str = ALL, service: str = ALL) -> None:
    """Let each role reach its rows of `table`.

    Args:
        own: the condition that a row is of the app at hand, for rows that are there and for new ones.
        tenant, service: what each may do with the rows that it reaches; empty when nothing.
    """
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON {table} TO {TENANT} USING ({own})")
    op.execute(f"CREATE POLICY service ON {table} TO {SERVICE} USING (true)")
    for role, rights in ((TENANT, tenant), (SERVICE, service)):
        if rights:
            op.execute(f"GRANT {rights} ON {table} TO {role}")


def unwall(table: str) -> None:
    """The way back of `wall`."""
    op.execute(f"REVOKE ALL ON {table} FROM {TENANT}, {SERVICE}")
    op.execute(f"DROP POLICY service ON {table}")
    op.execute(f"DROP POLICY tenant ON {table}")
    op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY")
