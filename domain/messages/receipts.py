"""How far messages have come: SENT, DELIVERED, READ, or FAILED. Whoever tells it, however often: only forward."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.errors import Invalid, NotFound
from domain import devices
from domain.conversations import standing
from domain.messages.writing import tell
from domain.principals import Author, Principal
from models.conversations import Conversation, Direction
from models.facts import FactKind
from models.messages import Message, MessageStatus

REPORTS_MOST = 100
_BEFORE = {
    MessageStatus.SENT: (MessageStatus.QUEUED,),
    MessageStatus.DELIVERED: (MessageStatus.QUEUED, MessageStatus.SENT),
    MessageStatus.READ: (MessageStatus.QUEUED, MessageStatus.SENT, MessageStatus.DELIVERED),
    MessageStatus.FAILED: (MessageStatus.QUEUED, MessageStatus.SENT),
}
"""From where a message gets to a status. Nothing leads back, and nothing leads on from FAILED."""
_TIMES = {
    MessageStatus.SENT: (Message.sent_at,),
    MessageStatus.DELIVERED: (Message.sent_at, Message.delivered_at),
    MessageStatus.READ: (Message.sent_at, Message.delivered_at, Message.read_at),
    MessageStatus.FAILED: (Message.failed_at,),
}
"""Each includes those before it."""


class Receipt(StrEnum):
    """What a device reports of the team's messages. READ includes DELIVERED."""

    DELIVERED = "DELIVERED"
    READ = "READ"


@dataclass(frozen=True)
class Report:
    """What a device says of one message."""

    message_id: UUID
    receipt: Receipt


async def mark(session: AsyncSession, principal: Principal, up_to: UUID, receipt: Receipt) -> int:
    """Note that the asking device has, or its person has read, all messages of the team up to one; how many are new.

    Raises:
        Forbidden: the asker is no device.
        NotFound: it is no message of a conversation of theirs.
    """
    message, conversation = await _theirs(session, principal, up_to)
    # what is before it the contact has read already
    read = conversation.contact_read_at
    new = sa.and_(Message.created_at <= message.created_at, Message.created_at > read if read else sa.true())
    if receipt is Receipt.READ and (read is None or read < message.created_at):
        conversation.contact_read_message_id, conversation.contact_read_at = message.id, message.created_at
        data = {"messageId": str(message.id), "readAt": message.created_at.isoformat()}
        await standing.changed(session, principal.author, FactKind.CONVERSATION_READ, conversation, **data)
    reached = sa.and_(Message.conversation_id == conversation.id, new)
    return len(await advance(session, principal.author, reached, MessageStatus(receipt.value), now()))


async def report(session: AsyncSession, principal: Principal, reports: Sequence[Report]) -> int:
    """Take what a device says of single messages, 1 to 100; returns how many moved. Others than its own are ignored.

    Raises:
        Forbidden: the asker is no device.
        Invalid: there are none or too many.
    """
    if not 1 <= len(reports) <= REPORTS_MOST:
        raise Invalid(f"Give 1 to {REPORTS_MOST} receipts.", field="receipts")
    contact_id = (await devices.get(session, principal.app_id, principal.device())).contact_id
    await _hold(session, principal.app_id, contact_id, [one.message_id for one in reports])
    moved: set[UUID] = set()
    for receipt in (Receipt.READ, Receipt.DELIVERED):
        ids = [one.message_id for one in reports if one.receipt is receipt]
        named = sa.and_(Message.id.in_(ids), _of_contact(principal.app_id, contact_id))
        rows = await advance(session, principal.author, named, MessageStatus(receipt.value), now())
        moved |= {row.id for row in rows}
    return len(moved)


def _of_contact(app_id: UUID, contact_id: UUID) -> sa.ColumnElement[bool]:
    theirs = sa.select(Conversation.id).where(Conversation.app_id == app_id, Conversation.contact_id == contact_id)
    return Message.conversation_id.in_(theirs)


async def _hold(session: AsyncSession, app_id: UUID, contact_id: UUID, message_ids: Collection[UUID]) -> None:
    """Lock the conversations first, in the order of their ids, as whoever writes into them does."""
    named = sa.select(Message.conversation_id).where(Message.app_id == app_id, Message.id.in_(message_ids))
    own = sa.and_(Conversation.contact_id == contact_id, Conversation.id.in_(named))
    rows = sa.select(Conversation.id).where(Conversation.app_id == app_id, own).order_by(Conversation.id)
    await session.execute(rows.with_for_update(key_share=True))


async def _theirs(session: AsyncSession, principal: Principal, message_id: UUID) -> tuple[Message, Conversation]:
    """A message that the device's contact can see, and its conversation, locked."""
    device = await devices.get(session, principal.app_id, principal.device())
    of = sa.and_(Conversation.id == Message.conversation_id, Conversation.contact_id == device.contact_id)
    rows = sa.select(Message, Conversation).join(Conversation, of)
    seen = rows.where(Message.app_id == principal.app_id, Message.id == message_id, Message.is_note.is_(False))
    found = (await session.execute(seen.with_for_update(of=Conversation, key_share=True))).one_or_none()
    if found is None:
        raise NotFound("There is no such message.", field="upToMessageId")
    message, conversation = found
    return message, conversation


async def advance(
    session: AsyncSession,
    author: Author,
    which: sa.ColumnElement[bool],
    status: MessageStatus,
    at: datetime,
    *,
    failure: str | None = None,
) -> Sequence[Message]:
    """Move messages of the team on to a status, those that it is a step forward for; returns them, oldest first.

    Args:
        session: the transaction, in which their conversations are locked.
        author: who tells it.
        which: a condition on messages.
        status: what they have come to; the times of the steps before it are filled where they are missing.
        at: when.
        failure: a stable code, with FAILED.
    """
    times: dict[Any, Any] = {column: sa.func.coalesce(column, at) for column in _TIMES[status]}
    to_team = sa.and_(Message.direction == Direction.OUTBOUND, Message.is_note.is_(False))
    forward = sa.and_(which, to_team, Message.status.in_(_BEFORE[status]))
    moved = sa.update(Message).where(forward).values({**times, Message.status: status, Message.failure: failure})
    rows = await session.scalars(moved.returning(Message).execution_options(synchronize_session=False))
    found = sorted(rows, key=lambda row: (row.created_at, row.id))
    _tell(session, author, found, status)
    return found


def _tell(session: AsyncSession, author: Author, moved: Sequence[Message], status: MessageStatus) -> None:
    """One fact for each conversation, of its newest message, which names them all."""
    by_conversation: dict[UUID, list[Message]] = defaultdict(list)
    for row in moved:
        by_conversation[row.conversation_id].append(row)
    for rows in by_conversation.values():
        data = {"status": status.value, "messageIds": [str(row.id) for row in rows]}
        tell(session, author, FactKind.MESSAGE_RECEIPT_CHANGED, rows[-1], **data)
