"""What no message has taken goes: first its object, then its row. So whoever is killed between leaves no object behind.

Nothing is locked meanwhile, and any number of clocks may do it: from a day on a file cannot be attached any more, and
it goes an hour later, when whoever began to attach it has long ended.
"""

from datetime import timedelta

import sqlalchemy as sa

from core import storage
from core.clock import now
from core.database import transaction
from domain.attachments.attaching import ATTACHABLE
from models.attachments import Attachment

MARGIN = timedelta(hours=1)
AT_ONCE = 50


async def sweep() -> int:
    """Remove the oldest fifty files at most that belong to no message; how many there were.

    Raises:
        Unavailable: the store cannot be reached. What is left goes the next time.
    """
    loose = sa.and_(Attachment.message_id.is_(None), Attachment.created_at < now() - ATTACHABLE - MARGIN)
    oldest = sa.select(Attachment.id, Attachment.storage_key).where(loose).order_by(Attachment.created_at)
    async with transaction() as session:
        found = {row.id: row.storage_key for row in await session.execute(oldest.limit(AT_ONCE))}
    if found:
        await storage.remove(list(found.values()))
        gone = sa.delete(Attachment).where(Attachment.id.in_(found), loose)
        async with transaction() as session:
            await session.execute(gone.execution_options(synchronize_session=False))
    return len(found)
