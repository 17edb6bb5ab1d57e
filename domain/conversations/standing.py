"""How a conversation is found, changed and told of: what every rule about it begins and ends with."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain import facts, inbox_streams
from domain.lookups import own
from domain.principals import Author
from models.conversations import Conversation, ConversationStatus
from models.facts import FactKind
from models.labels import ConversationLabel

CLOSED = (ConversationStatus.RESOLVED, ConversationStatus.SPAM)
ACTIVE = tuple(status for status in ConversationStatus if status not in CLOSED)
_MOMENT = timedelta(microseconds=1)


async def get(
    session: AsyncSession, app_id: UUID, conversation_id: UUID, *, lock: bool = False, field: str = "id"
) -> Conversation:
    """One conversation of the app; `field` is where its id came from.

    Raises:
        NotFound: it has no such conversation.
    """
    return await own(session, Conversation, app_id, conversation_id, "conversation", lock=lock, field=field)


def later(row: Conversation) -> datetime:
    """This instant, but later than anything in the conversation: clocks differ, and its messages stand in order."""
    return max(now(), row.last_activity_at + _MOMENT)


def tell(session: AsyncSession, author: Author, kind: FactKind, row: Conversation, **data: Any) -> None:
    """Record that something happened to a conversation; the one place where that is done."""
    told = inbox_streams.of_conversation(row.app_id, row.id)
    if kind is FactKind.CONVERSATION_ASSIGNED and row.assignee_id:
        told.append(inbox_streams.agent(row.assignee_id))
    facts.record(session, author, kind, row, streams=told, **data)


async def changed(session: AsyncSession, author: Author, kind: FactKind, row: Conversation, **data: Any) -> None:
    """Record a change of a conversation that is not flushed yet, and write it."""
    row.version += 1
    tell(session, author, kind, row, **data)
    await write(session, row)


async def write(session: AsyncSession, row: Conversation) -> None:
    """Write a changed conversation, and what its labels repeat of it (see `models.labels`)."""
    await session.flush()
    listed = sa.update(ConversationLabel).where(ConversationLabel.conversation_id == row.id)
    values = {"status": row.status, "last_activity_at": row.last_activity_at}
    await session.execute(listed.values(values).execution_options(synchronize_session=False))
