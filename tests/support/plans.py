"""How PostgreSQL would go about a statement, on tables that are so small that any way would do."""

from typing import Any

import sqlalchemy as sa

from core.database import transaction

_COSTLY = ("enable_seqscan", "enable_bitmapscan", "enable_sort")


async def explained(statement: sa.Select[Any]) -> str:
    """The plan: by an index that has the rows in their order, if there is one."""
    async with transaction() as session:
        for way in _COSTLY:
            await session.execute(sa.text(f"SET LOCAL {way} = off"))
        text = str(statement.compile(session.bind.sync_engine, compile_kwargs={"literal_binds": True}))
        return "\n".join(await session.scalars(sa.text(f"EXPLAIN {text}")))
