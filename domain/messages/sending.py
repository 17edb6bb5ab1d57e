"""Messages from either side, and the team's private notes."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict, Invalid, NotFound
from domain import checks, devices, workflow_signals
from domain.conversations import opening, standing
from domain.messages import reaching
from domain.messages.writing import Draft, Writer, add, known, reused
from domain.principals import Principal
from domain.workflow_signals import Signal
from models.channels import ChannelKind
from models.conversations import Conversation, ConversationStatus, Direction
from models.messages import Message
from models.team import Membership
from models.workflows import TriggerKind

MENTIONED_MOST = 20
UNSEEN_MOST = 100


class Unseen(Conflict):
    """The conversation went on. `found` has what the asker has not seen, oldest first, 100 at most."""

    def __init__(self, unseen: Sequence[Message]) -> None:
        super().__init__(
            "The conversation went on meanwhile; read what is new, then send again.", field="expectedLastMessageId"
        )
        self.found = {"unseen_messages": unseen}


async def send(
    session: AsyncSession,
    principal: Principal,
    conversation_id: UUID,
    draft: Draft,
    *,
    expected_last_message_id: UUID | None = None,
) -> Message:
    """An answer of the team, once however often it comes under the same client key. It reopens nothing.

    Args:
        session: the transaction.
        principal: a person or a program.
        conversation_id: where.
        draft: what.
        expected_last_message_id: the newest message or note that the asker has seen; None: whatever there is.

    Raises:
        NotFound: no such conversation in this app, or no such message in it.
        Invalid: the text or the key breaks its rule.
        Conflict: the conversation is spam.
        Unseen: somebody else wrote after the expected message.
        IdempotencyKeyReused: the key came with another text or conversation.
    """
    conversation = await standing.get(session, principal.app_id, conversation_id, lock=True, field="conversationId")
    writer = Writer.of(principal)
    if before := await _written(session, conversation, writer, draft):
        return before
    if conversation.status is ConversationStatus.SPAM:
        raise Conflict("The conversation is spam; reopen it first.", field="conversationId")
    if expected_last_message_id:
        await _refuse_unseen(session, conversation, writer, expected_last_message_id)
    row = await add(session, conversation, writer, draft, direction=Direction.OUTBOUND)
    await reaching.reach(session, conversation, row)
    return row


async def note(session: AsyncSession, principal: Principal, conversation_id: UUID, draft: Draft) -> Message:
    """A private note beside a conversation. The contact never sees it, and it makes nothing unread.

    Raises:
        NotFound: no such conversation in this app.
        Invalid: the text or the key breaks its rule, or somebody who is mentioned is not in the team.
        IdempotencyKeyReused: the key came with another text or conversation.
    """
    conversation = await standing.get(session, principal.app_id, conversation_id, lock=True, field="conversationId")
    writer = Writer.of(principal)
    if before := await _written(session, conversation, writer, draft):
        return before
    called = replace(draft, mentioned_ids=await _people(session, principal.app_id, draft.mentioned_ids))
    return await add(session, conversation, writer, called, direction=Direction.OUTBOUND, is_note=True)


async def say(session: AsyncSession, principal: Principal, draft: Draft) -> Message:
    """A message of a device, in the conversation that it belongs in (see `opening.for_inbound`).

    Raises:
        Forbidden: the asker is no device.
        Invalid: the text or the key breaks its rule.
        IdempotencyKeyReused: the key came with another text.
    """
    device = await devices.get(session, principal.app_id, principal.device())
    return await receive(session, Writer.of(principal), (principal.app_id, device.contact_id), draft)


async def receive(
    session: AsyncSession,
    writer: Writer,
    of: tuple[UUID, UUID],
    draft: Draft,
    channel: ChannelKind = ChannelKind.IN_APP,
) -> Message:
    """A message of a contact, written once for its client key or its provider id.

    Args:
        session: the transaction.
        writer: the device, or the contact when a provider brings it.
        of: the app and the contact.
        draft: what they said.
        channel: by which it came.

    Raises:
        NotFound: the app has no such contact.
        Invalid, IdempotencyKeyReused: as in `say`.
    """
    app_id, contact_id = of
    # before anything is opened for it; whoever brings its twin waits on the contact's row in `for_inbound`
    if before := await _received(session, app_id, writer, draft, channel):
        return before
    conversation = await opening.for_inbound(session, writer.author, app_id, contact_id, channel)
    if before := await _received(session, app_id, writer, draft, channel):
        return before
    row = await add(session, conversation, writer, draft, direction=Direction.INBOUND)
    if conversation.status is not ConversationStatus.SPAM:
        told = {"message": {"body": row.body, "channel": channel.value}}
        signal = Signal(contact_id, TriggerKind.MESSAGE_RECEIVED, [channel.value], row.id, told)
        await workflow_signals.write(session, app_id, [signal])
    return row


async def _received(
    session: AsyncSession, app_id: UUID, writer: Writer, draft: Draft, channel: ChannelKind
) -> Message | None:
    if draft.provider_id is None:
        return await known(session, app_id, writer, draft)
    same = (Message.app_id == app_id, Message.channel == channel, Message.provider_id == draft.provider_id)
    found: Message | None = await session.scalar(sa.select(Message).where(*same))
    return found


async def _written(session: AsyncSession, conversation: Conversation, writer: Writer, draft: Draft) -> Message | None:
    """What the writer has sent here under the same key."""
    before = await known(session, conversation.app_id, writer, draft)
    if before and before.conversation_id != conversation.id:
        raise reused()
    return before


async def _refuse_unseen(session: AsyncSession, conversation: Conversation, writer: Writer, expected: UUID) -> None:
    own = sa.select(Message).where(Message.conversation_id == conversation.id)
    seen: Message | None = await session.scalar(own.where(Message.id == expected))
    if seen is None:
        raise NotFound("There is no such message in the conversation.", field="expectedLastMessageId")
    after = own.where(Message.created_at > seen.created_at, Message.author_id.is_distinct_from(writer.id))
    unseen = (await session.scalars(after.order_by(Message.created_at, Message.id).limit(UNSEEN_MOST))).all()
    if unseen:
        # they are shown after the rollback, which would make the session's rows forget themselves
        session.expunge_all()
        raise Unseen(unseen)


async def _people(session: AsyncSession, app_id: UUID, user_ids: Sequence[UUID]) -> list[UUID]:
    """The people whom a note mentions, each once.

    Raises:
        Invalid: there are more than 20, or one is not in the team.
    """
    wanted = list(dict.fromkeys(user_ids))
    checks.at_most(wanted, "mentionedUserIds", MENTIONED_MOST)
    team = sa.select(Membership.user_id).where(Membership.app_id == app_id, Membership.user_id.in_(wanted))
    if wanted and set(wanted) - set(await session.scalars(team)):
        raise Invalid("Only people of the team can be mentioned.", field="mentionedUserIds")
    return wanted
