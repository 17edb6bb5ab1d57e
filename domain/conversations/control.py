"""What the team does with conversations: resolve, reopen, snooze, set aside, call spam, set the priority."""

from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.errors import Conflict, Invalid
from domain import contacts
from domain.conversations.assignment import automatic, waking
from domain.conversations.standing import CLOSED, changed, get, later
from domain.principals import SYSTEM, Author, Principal
from models.conversations import Conversation, ConversationStatus, Priority
from models.facts import FactKind

SNOOZED_MOST = timedelta(days=366)
WOKEN_AT_ONCE = 100
_KINDS = {
    ConversationStatus.OPEN: FactKind.CONVERSATION_REOPENED,
    ConversationStatus.SNOOZED: FactKind.CONVERSATION_SNOOZED,
    ConversationStatus.RESOLVED: FactKind.CONVERSATION_RESOLVED,
}


async def resolve(session: AsyncSession, principal: Principal, conversation_id: UUID) -> Conversation:
    """Close a conversation as done; doing it twice is the same.

    Raises:
        NotFound: no such conversation in this app.
    """
    return await _set(session, principal, conversation_id, ConversationStatus.RESOLVED)


async def mark_spam(session: AsyncSession, principal: Principal, conversation_id: UUID) -> Conversation:
    """Close a conversation as spam: what else the contact sends by its channel goes there, and nobody is called.

    Raises:
        NotFound: no such conversation in this app.
    """
    return await _set(session, principal, conversation_id, ConversationStatus.SPAM)


async def set_aside(session: AsyncSession, principal: Principal, conversation_id: UUID) -> Conversation:
    """Make a conversation that is not closed PENDING: it waits for something that is not the team.

    Raises:
        NotFound, Conflict: no such conversation, or it is closed.
    """
    return await _set(session, principal, conversation_id, ConversationStatus.PENDING)


async def reopen(session: AsyncSession, principal: Principal, conversation_id: UUID) -> Conversation:
    """Make a conversation OPEN, whatever it was.

    Raises:
        NotFound: no such conversation in this app.
        Conflict: it is closed, and another one with the contact by this channel is not.
    """
    known = await get(session, principal.app_id, conversation_id)
    # who opens a conversation queues on the contact first, so that one is open at most
    await contacts.get(session, principal.app_id, known.contact_id, lock=True)
    try:
        return await _set(session, principal, conversation_id, ConversationStatus.OPEN)
    except IntegrityError:
        raise Conflict("Another conversation with this contact is open; go on there.", field="id") from None


async def snooze(session: AsyncSession, principal: Principal, conversation_id: UUID, until: datetime) -> Conversation:
    """Put a conversation that is not closed away until an instant, or until the contact writes.

    Raises:
        NotFound, Conflict: no such conversation, or it is closed.
        Invalid: `until` is not in the future, or more than a year away.
    """
    if not timedelta() < until - now() <= SNOOZED_MOST:
        raise Invalid("until must be in the future, in a year at the latest.", field="until")
    row = await _held(session, principal, conversation_id, ConversationStatus.SNOOZED)
    if row.snoozed_until != until:
        await move(session, principal.author, row, ConversationStatus.SNOOZED, until=until)
    return row


async def prioritise(
    session: AsyncSession, principal: Principal, conversation_id: UUID, priority: Priority
) -> Conversation:
    """Set how urgent a conversation is.

    Raises:
        NotFound: no such conversation in this app.
    """
    row = await get(session, principal.app_id, conversation_id, lock=True)
    if row.priority is not priority:
        row.priority = priority
        await changed(session, principal.author, FactKind.CONVERSATION_UPDATED, row)
    return row


async def wake_due(session: AsyncSession) -> int:
    """Open the snoozed conversations whose instant has come, 100 at most; returns how many.

    Any number of clocks may do it at once: what one has locked the others pass over.
    """
    is_due = sa.and_(Conversation.status == ConversationStatus.SNOOZED, Conversation.snoozed_until <= now())
    due = sa.select(Conversation).where(is_due).order_by(Conversation.snoozed_until).limit(WOKEN_AT_ONCE)
    found = (await session.scalars(due.with_for_update(skip_locked=True, key_share=True))).all()
    # whoever takes the turns of several apps takes them in this order: see domain.conversations.assignment
    for row in sorted(found, key=lambda row: row.app_id):
        await move(session, SYSTEM, row, ConversationStatus.OPEN)
    return len(found)


async def _set(
    session: AsyncSession, principal: Principal, conversation_id: UUID, status: ConversationStatus
) -> Conversation:
    row = await _held(session, principal, conversation_id, status)
    if row.status is not status:
        await move(session, principal.author, row, status)
    return row


async def _held(
    session: AsyncSession, principal: Principal, conversation_id: UUID, status: ConversationStatus
) -> Conversation:
    """The conversation, locked, if it may become `status`: from closed it only opens, or closes otherwise."""
    row = await get(session, principal.app_id, conversation_id, lock=True)
    if row.status in CLOSED and status in {ConversationStatus.PENDING, ConversationStatus.SNOOZED}:
        raise Conflict(f"The conversation is {row.status.value}; reopen it first.", field="id")
    return row


async def move(
    session: AsyncSession,
    author: Author,
    row: Conversation,
    status: ConversationStatus,
    *,
    until: datetime | None = None,
) -> None:
    """Give a locked conversation another status, with all that hangs on it. One that comes back heads the lists."""
    before, row.status, row.snoozed_until = row.status, status, until
    row.resolved_at = now() if status is ConversationStatus.RESOLVED else None
    if status in CLOSED:
        row.waiting_since = None
    row.queued_at = None
    if status is ConversationStatus.OPEN:
        row.last_activity_at = later(row)
        automatic.await_somebody(row)
    kind = _KINDS.get(status, FactKind.CONVERSATION_UPDATED)
    await changed(session, author, kind, row, before=before.value, status=status.value)
    if status is ConversationStatus.OPEN:
        await _find_somebody(session, author, row, before)
    elif before is ConversationStatus.OPEN and row.assignee_id:
        await waking.somebody_is_free(session, row.app_id)


async def _find_somebody(session: AsyncSession, author: Author, row: Conversation, before: ConversationStatus) -> None:
    """For one that opens. Who set it aside, or takes it up again themselves, keeps it however much they have."""
    is_theirs = before is ConversationStatus.PENDING or author.actor == f"user:{row.assignee_id}"
    if not (row.assignee_id and is_theirs):
        await automatic.assign_automatically(session, row)
