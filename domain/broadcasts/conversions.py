"""Goals of broadcasts: who got one and then did what it is for. Once each, however often the event comes."""

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain.broadcasts import receipts
from domain.broadcasts.receipts import Step
from domain.workflow_signals import GOAL_HOURS_MOST
from models.broadcasts import Broadcast, BroadcastRecipient
from models.events import Event

# a device may report before the sender has written its result
_SENT_AT = sa.func.coalesce(BroadcastRecipient.sent_at, BroadcastRecipient.delivered_at)


async def convert(session: AsyncSession, event: Event) -> None:
    """Count the recipients whose broadcast has this event as its goal, when it happened in time after it was sent.

    A contact who has been sent to on several devices counts with each, as in all counts of broadcasts.
    """
    is_open = sa.or_(
        Broadcast.completed_at.is_(None), Broadcast.completed_at > now() - timedelta(hours=GOAL_HOURS_MOST)
    )
    until = _SENT_AT + sa.func.make_interval(0, 0, 0, 0, Broadcast.goal_within_hours)
    places = (
        sa.select(BroadcastRecipient.broadcast_id, BroadcastRecipient.seq)
        .join(Broadcast, Broadcast.id == BroadcastRecipient.broadcast_id)
        .where(
            Broadcast.app_id == event.app_id,
            Broadcast.goal_event_name == event.name,
            Broadcast.sent_at.is_not(None),
            is_open,
            BroadcastRecipient.contact_id == event.contact_id,
            BroadcastRecipient.converted_at.is_(None),
            event.occurred_at >= _SENT_AT,
            until > event.occurred_at,
        )
    )
    reached = {(id_, seq): {Step.CONVERTED} for id_, seq in await session.execute(places)}
    await receipts.advance(session, reached, event.occurred_at)
