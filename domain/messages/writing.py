"""Writing a message into a conversation: once, later than all before it, with what the conversation shows of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import IdempotencyKeyReused
from core.ids import new_id
from domain import checks, facts, inbox_streams, typists
from domain.attachments import attaching
from domain.conversations import standing
from domain.principals import Author, Principal
from models.conversations import Conversation, Direction
from models.facts import FactKind
from models.messages import AuthorKind, Message, MessageStatus

BODY_MOST = 10_000
KEY_MOST = 200
PREVIEW_MOST = 200


@dataclass(frozen=True)
class Draft:
    """What somebody wants to say.

    Attributes:
        body: the text, 10,000 characters at most; may be empty when something is attached.
        client_key: the author's own name for it: sent again under it, it is not written again.
        attachment_ids: what is sent with it.
        mentioned_ids: people of the team whom a note calls.
        provider_id: the channel's name for it, when it comes from there.
    """

    body: str
    client_key: str | None = None
    attachment_ids: Sequence[UUID] = ()
    mentioned_ids: Sequence[UUID] = ()
    provider_id: str | None = None


@dataclass(frozen=True)
class Writer:
    """Who writes: as messages keep it, and as facts do."""

    kind: AuthorKind
    id: UUID | None
    author: Author = field(compare=False)

    @classmethod
    def of(cls, principal: Principal) -> "Writer":
        """A person, a program or a device."""
        if principal.user_id:
            return cls(AuthorKind.USER, principal.user_id, principal.author)
        if principal.api_key_id:
            return cls(AuthorKind.KEY, principal.api_key_id, principal.author)
        return cls(AuthorKind.DEVICE, principal.device(), principal.author)


def tell(session: AsyncSession, author: Author, kind: FactKind, row: Message, **data: Any) -> None:
    """Record that something happened to a message; the one place where that is done.

    Receipts are for those who have the conversation before them; lists show none.
    """
    told = [inbox_streams.whole(row.conversation_id)]
    if kind is not FactKind.MESSAGE_RECEIPT_CHANGED:
        told.append(inbox_streams.inbox(row.app_id))
    if not row.is_note:
        told.append(inbox_streams.seen_by_contact(row.conversation_id))
    of = str(row.conversation_id)
    facts.record(session, author, kind, row, streams=told, conversationId=of, isNote=row.is_note, **data)


def checked(draft: Draft) -> str:
    """The text as it is kept.

    Raises:
        Invalid: it is empty with nothing attached, or too long, or the key is.
    """
    if draft.client_key is not None:
        checks.text(draft.client_key, "clientKey", most=KEY_MOST)
    return checks.text(draft.body, "body", most=BODY_MOST, least=0 if draft.attachment_ids else 1)


async def known(session: AsyncSession, app_id: UUID, writer: Writer, draft: Draft) -> Message | None:
    """The message that the same writer has sent under the same key; None when there is none.

    Raises:
        IdempotencyKeyReused: the key came with another text.
    """
    if draft.client_key is None:
        return None
    same = (Message.app_id == app_id, Message.author_id == writer.id, Message.client_key == draft.client_key.strip())
    found: Message | None = await session.scalar(sa.select(Message).where(*same))
    if found and not (found.edited_at or found.deleted_at) and found.body != checked(draft):
        raise reused()
    return found


def reused() -> IdempotencyKeyReused:
    """The refusal of a key that came before."""
    return IdempotencyKeyReused("This clientKey was used for another message; take a new one.", field="clientKey")


async def add(
    session: AsyncSession,
    conversation: Conversation,
    writer: Writer,
    draft: Draft,
    *,
    direction: Direction,
    is_note: bool = False,
) -> Message:
    """Write a message into a locked conversation.

    Raises:
        Invalid: the text or the key breaks its rule, or there are too many attachments.
        NotFound, Conflict: something cannot be attached.
        IdempotencyKeyReused: the key came before, in another conversation.
    """
    row = _row(conversation, writer, draft, direction)
    row.is_note = is_note
    _shown(conversation, row)
    typists.stopped(session, conversation.id, writer.author.actor)
    session.add(row)
    tell(session, writer.author, FactKind.MESSAGE_CREATED, row, clientKey=row.client_key)
    await _flush(session, conversation)
    await attaching.attach(session, writer.author, row, draft.attachment_ids)
    return row


def _row(conversation: Conversation, writer: Writer, draft: Draft, direction: Direction) -> Message:
    at = standing.later(conversation)
    return Message(
        id=new_id(),
        created_at=at,
        app_id=conversation.app_id,
        conversation_id=conversation.id,
        channel=conversation.channel,
        direction=direction,
        author_kind=writer.kind,
        author_id=writer.id,
        body=checked(draft),
        client_key=draft.client_key.strip() if draft.client_key else None,
        provider_id=draft.provider_id,
        mentioned_ids=list(draft.mentioned_ids),
        status=MessageStatus.SENT,
        sent_at=at,
    )


def _shown(conversation: Conversation, row: Message) -> None:
    """What a conversation shows of its newest message. Of a note it shows nothing but that something happened."""
    conversation.version += 1
    conversation.last_activity_at = row.created_at
    if row.is_note:
        return
    conversation.last_message_id = row.id
    conversation.last_message_preview = row.body[:PREVIEW_MOST]
    conversation.last_message_direction = row.direction
    conversation.last_message_at = row.created_at
    conversation.message_count += 1
    _waits(conversation, row, row.created_at)


def _waits(conversation: Conversation, row: Message, at: datetime) -> None:
    """Since when the contact waits for an answer, and when a person first gave one."""
    if row.direction is Direction.INBOUND:
        conversation.last_inbound_at = at
        conversation.waiting_since = conversation.waiting_since or at
        return
    conversation.waiting_since = None
    if row.author_kind is AuthorKind.USER:
        conversation.first_response_at = conversation.first_response_at or at


async def _flush(session: AsyncSession, conversation: Conversation) -> None:
    try:
        await standing.write(session, conversation)
    except IntegrityError:
        raise reused() from None
