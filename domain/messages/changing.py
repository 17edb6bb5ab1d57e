"""Editing and deleting what the team wrote. Both leave a trace; what a contact has said stays as it is."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.errors import Conflict
from domain import checks
from domain.attachments import attaching
from domain.conversations import standing
from domain.lookups import own
from domain.messages import reaching
from domain.messages.writing import BODY_MOST, PREVIEW_MOST, tell
from domain.principals import Principal
from models.conversations import Conversation, Direction
from models.facts import FactKind
from models.messages import Message, MessageRevision


async def edit(session: AsyncSession, principal: Principal, message_id: UUID, body: str) -> Message:
    """Change the text of a message or note of the team. What it said before is kept beside it.

    Raises:
        NotFound: no such message in this app.
        Conflict: it is the contact's, or deleted.
        Invalid: the text breaks its rule.
    """
    row, conversation = await _held(session, principal, message_id)
    said = checks.text(body, "body", most=BODY_MOST)
    if said == row.body:
        return row
    before = {"app_id": row.app_id, "message_id": row.id, "body": row.body, "actor": principal.actor}
    session.add(MessageRevision(created_at=now(), **before))
    row.body, row.edited_at = said, now()
    await _changed(session, principal, row, conversation, FactKind.MESSAGE_UPDATED)
    return row


async def delete(session: AsyncSession, principal: Principal, message_id: UUID) -> Message:
    """Take the text of a message or note of the team away, with what it said before; that there was one stays.

    Raises:
        NotFound: no such message in this app.
        Conflict: it is the contact's.
    """
    row, conversation = await _held(session, principal, message_id, deleted=True)
    if row.deleted_at:
        return row
    await session.execute(sa.delete(MessageRevision).where(MessageRevision.message_id == row.id))
    row.body, row.deleted_at = "", now()
    await reaching.withdraw(session, conversation, row)
    await attaching.withdraw(session, row)
    await _changed(session, principal, row, conversation, FactKind.MESSAGE_DELETED)
    return row


async def _held(
    session: AsyncSession, principal: Principal, message_id: UUID, *, deleted: bool = False
) -> tuple[Message, Conversation]:
    """The message and its conversation, both locked, the conversation first as wherever one is written."""
    known = await own(session, Message, principal.app_id, message_id, "message")
    conversation = await standing.get(session, principal.app_id, known.conversation_id, lock=True)
    row = await own(session, Message, principal.app_id, message_id, "message", lock=True)
    await session.refresh(row)
    if row.direction is Direction.INBOUND:
        raise Conflict("What the contact has said stays as it is.", field="id")
    if row.deleted_at and not deleted:
        raise Conflict("The message is deleted.", field="id")
    return row, conversation


async def _changed(
    session: AsyncSession, principal: Principal, row: Message, conversation: Conversation, kind: FactKind
) -> None:
    conversation.version += 1
    if conversation.last_message_id == row.id:
        conversation.last_message_preview = row.body[:PREVIEW_MOST]
    tell(session, principal.author, kind, row)
    await session.flush()
