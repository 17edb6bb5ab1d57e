"""Every row of an app, whatever table it stands in."""

from uuid import UUID

import sqlalchemy as sa

from core.database import transaction
from models.apps import App
from models.base import Model
from models.team import AdminUser, Membership


async def rows_of(app_id: UUID) -> dict[str, list[str]]:
    """The rows of an app by table, each written out as text, sorted."""
    tables = Model.metadata.sorted_tables
    async with transaction() as session:
        found = await session.execute(sa.union_all(*(_written(table, app_id) for table in tables)))
    rows: dict[str, list[str]] = {table.name: [] for table in tables}
    for name, row in found:
        rows[name].append(row)
    return {name: sorted(of_table) for name, of_table in rows.items()}


def _written(table: sa.Table, app_id: UUID) -> sa.Select[tuple[str, str]]:
    row = sa.cast(sa.literal_column(f"{table.name}.*::text"), sa.Text)
    return sa.select(sa.literal(table.name), row).where(_of(table, app_id))


def _of(table: sa.Table, app_id: UUID) -> sa.ColumnElement[bool]:
    """The condition that a row belongs to the app: it is the app, names it, or refers to a row that does."""
    if table is App.__table__:
        return table.c.id == app_id
    if table is AdminUser.__table__:
        return table.c.id.in_(sa.select(Membership.user_id).where(Membership.app_id == app_id))
    if "app_id" in table.c:
        return table.c.app_id == app_id
    owners = [key for key in table.foreign_keys if key.column.table is not table]
    assert owners, f"{table.name} leads to no app: say here how it does"
    return sa.or_(*(key.parent.in_(sa.select(key.column).where(_of(key.column.table, app_id))) for key in owners))
