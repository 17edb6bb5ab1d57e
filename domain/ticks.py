"""Ticks: "look again", told to the subscribers of a topic after the commit."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from core.database import on_commit
from core.pubsub import Tick, publish

_TICKS = "ticks"


def tick(session: AsyncSession, topic: str, **data: Any) -> None:
    """Tell the subscribers of `topic` to look again, once this transaction has committed."""
    ticks = session.info.get(_TICKS)
    if ticks is None:
        ticks = session.info[_TICKS] = []
        on_commit(session, lambda: publish(ticks))
    ticks.append(Tick(topic, data))
