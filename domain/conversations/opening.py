"""Opening conversations: one at most that is not closed for a contact and channel, whoever comes first."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.errors import Invalid
from core.ids import new_id
from domain import contacts
from domain.conversations.assignment import automatic
from domain.conversations.assignment.giving import give
from domain.conversations.control import move
from domain.conversations.standing import CLOSED, changed
from domain.principals import Author, Principal
from models.assignment import AssignmentReason
from models.channels import ChannelKind
from models.conversations import Conversation, ConversationStatus
from models.facts import FactKind

REOPENS_WITHIN = timedelta(days=7)
CHANNELS: Collection[ChannelKind] = (ChannelKind.IN_APP,)
"""By which the team can begin a conversation."""


async def open_or_find(
    session: AsyncSession, principal: Principal, contact_id: UUID, channel: ChannelKind
) -> Conversation:
    """The conversation with a contact that is not closed, a new one when there is none: its beginner answers it.

    Raises:
        NotFound: the app has no such contact.
        Invalid: no conversation can be begun by this channel.
    """
    if channel not in CHANNELS:
        raise Invalid("Conversations are begun by IN_APP only.", field="channel")
    latest = await _latest(session, principal.app_id, contact_id, channel)
    if latest and latest.status not in CLOSED:
        return latest
    row = await _open(session, principal.author, principal.app_id, (contact_id, channel), latest)
    if principal.user_id:
        await give(session, principal.author, row, principal.user_id, AssignmentReason.MANUAL)
    else:
        await automatic.assign_automatically(session, row)
    return row


async def for_inbound(
    session: AsyncSession, author: Author, app_id: UUID, contact_id: UUID, channel: ChannelKind
) -> Conversation:
    """The conversation in which something that a contact has sent belongs, locked.

    One that is snoozed comes back, and one that was resolved within the last 7 days, to whom it was assigned if they
    can take it; after that a new one goes on with it. What is spam takes what else they send and stays spam.

    Raises:
        NotFound: the app has no such contact.
    """
    latest = await _latest(session, app_id, contact_id, channel)
    if latest is None or _is_past(latest):
        row = await _open(session, author, app_id, (contact_id, channel), latest)
        await automatic.assign_automatically(session, row)
        return row
    if latest.status in {ConversationStatus.SNOOZED, ConversationStatus.RESOLVED}:
        await move(session, author, latest, ConversationStatus.OPEN)
    return latest


def _is_past(row: Conversation) -> bool:
    return row.status is ConversationStatus.RESOLVED and now() - (row.resolved_at or now()) > REOPENS_WITHIN


async def _latest(session: AsyncSession, app_id: UUID, contact_id: UUID, channel: ChannelKind) -> Conversation | None:
    """The conversation that is not closed, else the newest, locked.

    Who opens one for a contact queues on the contact's row first: two first messages at once open one conversation.
    """
    await contacts.get(session, app_id, contact_id, lock=True, field="contactId")
    theirs = sa.select(Conversation).where(
        Conversation.app_id == app_id, Conversation.contact_id == contact_id, Conversation.channel == channel
    )
    newest = theirs.order_by(Conversation.status.in_(CLOSED), Conversation.id.desc()).limit(1)
    found: Conversation | None = await session.scalar(newest.with_for_update(key_share=True))
    return found


async def _open(
    session: AsyncSession,
    author: Author,
    app_id: UUID,
    way: tuple[UUID, ChannelKind],
    previous: Conversation | None,
) -> Conversation:
    contact_id, channel = way
    row = Conversation(
        id=new_id(),
        app_id=app_id,
        contact_id=contact_id,
        channel=channel,
        status=ConversationStatus.OPEN,
        previous_id=previous.id if previous else None,
        last_activity_at=now(),
        message_count=0,
        version=0,
    )
    automatic.await_somebody(row)
    session.add(row)
    await changed(session, author, FactKind.CONVERSATION_OPENED, row)
    return row
