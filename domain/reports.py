"""What devices report of what they have received: of broadcasts, and of answers in conversations.

Reports of many devices come together (see `core.batcher`), so the statements do not grow with their number.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from core.batcher import Batcher
from core.clock import now
from core.database import transaction
from domain import in_app_messages
from domain.broadcasts import receipts
from domain.broadcasts.receipts import PushReport
from domain.in_app_messages import Report
from domain.messages import reaching

Told = Report | PushReport


async def take(session: AsyncSession, told: Sequence[Told], at: datetime) -> set[Told]:
    """Take the reports of devices about their messages and pushes; returns those that told something new."""
    advances = await in_app_messages.mark(session, [one for one in told if isinstance(one, Report)], at)
    pushed = await receipts.report(session, advances, [one for one in told if isinstance(one, PushReport)], at)
    await reaching.report(session, advances, at)
    return {one.report for one in advances} | pushed


async def _take_all(asked: list[list[Told]]) -> list[int]:
    async with transaction(across_apps=True) as session:
        new = await take(session, [one for told in asked for one in told], now())
    return [len(new.intersection(told)) for told in asked]


taken = Batcher(_take_all, largest=2_000, weigh=len)
"""Takes a device's reports: `await taken.ask([...])` says how many told something new."""
