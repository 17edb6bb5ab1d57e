"""The queues of the apps, given to who has become free."""

from uuid import UUID

import dramatiq

from domain.conversations.assignment import queueing, waking


@dramatiq.actor(actor_name=waking.DRAINER)
async def drain_queue(app_id: str) -> None:
    """Give what waits in an app's queue."""
    await queueing.drain_all(UUID(app_id))
