"""How far each person of the team has read. Only what a contact sends makes unread: no notes, labels or statuses do."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import NotFound
from domain.conversations.standing import get, tell
from domain.notifications import clearing as notifications
from domain.principals import Principal
from models.conversations import Conversation, ConversationRead, Direction
from models.facts import FactKind
from models.messages import Message

COUNTED_MOST = 100
"""Unread messages are counted up to here: 100 says that there are 100 or more."""
_NEVER = sa.text("'-infinity'::timestamptz")
_MOMENT = timedelta(microseconds=1)


def is_unread(user_id: UUID) -> sa.ColumnElement[bool]:
    """The condition that a conversation has something that a person has not read.

    One look by the key for each conversation, whatever the planner believes: lists end early, after a page.
    """
    mine = (ConversationRead.conversation_id == Conversation.id, ConversationRead.user_id == user_id)
    read_at = sa.select(ConversationRead.read_at).where(*mine).correlate(Conversation).scalar_subquery()
    return Conversation.last_inbound_at > sa.func.coalesce(read_at, _NEVER)


async def mark_read(
    session: AsyncSession, principal: Principal, conversation_id: UUID, up_to: UUID | None = None
) -> Conversation:
    """Note that the asker has read up to a message, the newest unless one is named. It only goes forward.

    What they were told of it in notifications is read with it.

    Raises:
        Forbidden: the asker is no person.
        NotFound: no such conversation in this app, or no such message in it.
    """
    row = await get(session, principal.app_id, conversation_id)
    message = await _message(session, row, up_to) if up_to else await _newest(session, row)
    if message:
        ahead = ConversationRead.read_at < message.created_at
        await _point(session, principal, row, (message.id, message.created_at), only_if=ahead)
    await notifications.seen(session, principal, row.id, message.created_at if message else None)
    return row


async def mark_unread(
    session: AsyncSession, principal: Principal, conversation_id: UUID, from_: UUID | None = None
) -> Conversation:
    """Make a message and what follows unread to the asker, the last one of the contact unless one is named.

    Raises:
        Forbidden: the asker is no person.
        NotFound: no such conversation in this app, or no such message in it.
    """
    row = await get(session, principal.app_id, conversation_id)
    at = (await _message(session, row, from_)).created_at if from_ else row.last_inbound_at
    if at:
        before = await session.scalar(_of(row).where(Message.created_at < at).limit(1))
        await _point(session, principal, row, (before.id if before else None, at - _MOMENT), only_if=sa.true())
    return row


def _of(row: Conversation) -> sa.Select[Message]:
    newest_first = (Message.created_at.desc(), Message.id.desc())
    return sa.select(Message).where(Message.conversation_id == row.id).order_by(*newest_first)


async def _newest(session: AsyncSession, row: Conversation) -> Message | None:
    found: Message | None = await session.scalar(_of(row).limit(1))
    return found


async def _message(session: AsyncSession, row: Conversation, message_id: UUID) -> Message:
    message: Message | None = await session.scalar(_of(row).where(Message.id == message_id))
    if message is None:
        raise NotFound("There is no such message in the conversation.", field="messageId")
    return message


async def _point(
    session: AsyncSession,
    principal: Principal,
    row: Conversation,
    place: tuple[UUID | None, datetime],
    *,
    only_if: sa.ColumnElement[bool],
) -> None:
    """Set the asker's pointer, where there is one only if the condition holds, and tell their other windows."""
    message_id, at = place
    values = {"last_read_message_id": message_id, "read_at": at}
    new = insert(ConversationRead).values(
        conversation_id=row.id, user_id=principal.person(), app_id=row.app_id, **values
    )
    keys = [ConversationRead.conversation_id, ConversationRead.user_id]
    written = new.on_conflict_do_update(index_elements=keys, set_=values, where=only_if)
    if await session.scalar(written.returning(ConversationRead.user_id)):
        data = {"userId": str(principal.person()), "readAt": at.isoformat()}
        tell(session, principal.author, FactKind.CONVERSATION_READ, row, **data)


async def unread_counts(session: AsyncSession, asked: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], int]:
    """For each conversation and person how many messages of the contact they have not read, 100 at most."""
    pairs = sa.func.unnest(
        sa.cast([conversation_id for conversation_id, _ in asked], sa.ARRAY(sa.UUID)),
        sa.cast([user_id for _, user_id in asked], sa.ARRAY(sa.UUID)),
    ).table_valued(sa.column("conversation_id", sa.UUID), sa.column("user_id", sa.UUID))
    pair = pairs.render_derived(name="pair")
    mine = sa.and_(
        ConversationRead.conversation_id == pair.c.conversation_id, ConversationRead.user_id == pair.c.user_id
    )
    unread = sa.select(sa.literal(1)).where(
        Message.conversation_id == pair.c.conversation_id,
        Message.direction == sa.literal_column(f"'{Direction.INBOUND.value}'"),
        Message.created_at > sa.func.coalesce(ConversationRead.read_at, _NEVER),
    )
    some = unread.limit(COUNTED_MOST).correlate(pair, ConversationRead).subquery()
    count = sa.select(sa.func.count()).select_from(some).scalar_subquery()
    rows = sa.select(pair.c.conversation_id, pair.c.user_id, count)
    found = await session.execute(rows.select_from(pair.outerjoin(ConversationRead, mine)))
    return {(conversation_id, user_id): number for conversation_id, user_id, number in found}
