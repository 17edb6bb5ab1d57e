"""Messages of conversations, in pages, oldest first; with the notes for the team, without them for a contact."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import NotFound
from domain import devices, owned_pages
from domain.pages import Page, PageRequest, page
from domain.principals import Principal
from models.conversations import Conversation
from models.messages import Message

_KEY = (Message.created_at, Message.id)


async def pages(
    session: AsyncSession, asked: Sequence[tuple[UUID, PageRequest]]
) -> dict[tuple[UUID, PageRequest], Page[Message]]:
    """A page of the messages and notes of each of some conversations.

    Raises:
        Invalid: a request cannot be answered.
    """
    return await owned_pages.pages(session, Message, Message.conversation_id, _KEY, asked)


async def own_conversations(session: AsyncSession, principal: Principal, request: PageRequest) -> Page[Conversation]:
    """The conversations of the contact whose device asks, newest first.

    Raises:
        Forbidden: the asker is no device.
    """
    device = await devices.get(session, principal.app_id, principal.device())
    rows = sa.select(Conversation).where(
        Conversation.app_id == principal.app_id, Conversation.contact_id == device.contact_id
    )
    return await page(session, rows, Conversation.id, request, newest_first=True)


async def own_conversation(session: AsyncSession, principal: Principal, conversation_id: UUID) -> None:
    """See that a conversation is one of the contact whose device asks.

    Raises:
        Forbidden: the asker is no device.
        NotFound: it is not.
    """
    device = await devices.get(session, principal.app_id, principal.device())
    theirs = sa.and_(Conversation.app_id == principal.app_id, Conversation.contact_id == device.contact_id)
    if not await session.scalar(sa.select(Conversation.id).where(theirs, Conversation.id == conversation_id)):
        raise NotFound("There is no such conversation.", field="conversationId")


async def own(
    session: AsyncSession, principal: Principal, conversation_id: UUID, request: PageRequest
) -> Page[Message]:
    """What a contact sees of a conversation of theirs: no notes.

    Raises:
        Forbidden: the asker is no device.
        NotFound: it is no conversation of the device's contact.
    """
    await own_conversation(session, principal, conversation_id)
    rows = sa.select(Message).where(Message.conversation_id == conversation_id, Message.is_note.is_(False))
    return await page(session, rows, _KEY, request)
