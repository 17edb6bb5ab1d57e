"""The channels that workers send through, each with what it needs."""

from collections.abc import Sequence
from uuid import UUID

from channels.base import Outgoing
from channels.in_app import InApp
from core.database import transaction
from domain import in_app_messages
from domain.in_app_messages import Draft


async def _store(batch: Sequence[Outgoing]) -> set[UUID]:
    """Write a batch of one app in one transaction."""
    drafts = [Draft(one.key, one.device_id, one.title, one.body, one.data) for one in batch]
    async with transaction() as session:
        return await in_app_messages.store(session, batch[0].app_id, drafts)


IN_APP = InApp(_store)
