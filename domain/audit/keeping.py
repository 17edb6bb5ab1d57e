"""How long entries are kept. A month of them is a partition, made ahead and dropped whole: no row is ever deleted.

So an entry is kept for 90 days at least, and for at most the month more that its partition is not all old.
"""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now

MONTHS_AHEAD = 12
_ONE_AT_A_TIME = sa.select(sa.func.pg_try_advisory_xact_lock(sa.func.hashtextextended("audit.keep", 0)))
# Both need the table for themselves for a moment. Who waits for that makes all who write an entry wait behind.
_PATIENCE = sa.text("SET LOCAL lock_timeout = '100ms'")
_MAKE = sa.text(
    "SELECT count(audit_make_month(CAST(:at AS timestamptz) + make_interval(months => ahead)))"
    " FROM generate_series(0, :most) ahead"
)
_DROP = sa.text("SELECT audit_drop_months()")


async def keep(session: AsyncSession) -> int:
    """Make room for this month and the next twelve, drop the months that are old; returns how many were dropped.

    Where nothing is to be done it takes no lock. While another does it there is nothing to do.
    """
    if not await session.scalar(_ONE_AT_A_TIME):
        return 0
    await session.execute(_PATIENCE)
    await session.execute(_MAKE, {"at": now(), "most": MONTHS_AHEAD})
    dropped: int = await session.scalar(_DROP) or 0
    return dropped
