"""Watching the inbox: messages, receipts, conversations, lists, what one is given."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Container, Sequence
from contextlib import aclosing
from typing import Annotated
from uuid import UUID

import strawberry

from core.database import transaction
from core.ids import parse_id
from domain import inbox_streams
from domain.conversations import listing, live, standing
from domain.conversations.listing import Filter
from domain.conversations.live import ListChange
from domain.messages import listing as messages
from domain.pages import PageRequest
from domain.permissions import Permission
from domain.streams.moments import Moment
from models.conversations import Conversation
from models.facts import FactKind
from models.messages import Message
from models.streams import StreamEvent
from resolvers.conversations import Chosen, filter_of
from resolvers.live import events
from schema.context import Info
from schema.live_conversations import (
    ConversationAssigned,
    ConversationChanged,
    ConversationList,
    MessageAdded,
    MessageChanged,
    MessageReceiptChanged,
    OwnMessageChanged,
)
from schema.streams import After, subscription

VIEW = Permission.VIEW_CONVERSATIONS
NEWEST = PageRequest(last=50)
ConversationId = Annotated[strawberry.ID, strawberry.argument(description="The conversation.")]
_CONVERSATION = frozenset(kind for kind in FactKind if kind.value.startswith("conversation."))
_EDITED = frozenset({FactKind.MESSAGE_UPDATED, FactKind.MESSAGE_DELETED})


async def _messages(
    info: Info, conversation_id: strawberry.ID, after: str | None, kinds: Container[FactKind]
) -> AsyncGenerator[Moment, None]:
    """The events of these kinds in a conversation of the asker's app, after its newest messages.

    Raises:
        NotFound: it has no such conversation.
    """
    id_ = parse_id(conversation_id, "conversationId")
    await _conversation(info.context.asker().app_id, id_)

    async def newest() -> Sequence[Message]:
        async with transaction() as session:
            found = await messages.pages(session, [(id_, NEWEST)])
        return found[id_, NEWEST].rows

    return events(info, inbox_streams.whole(id_), after, kinds=kinds, snapshot=newest)


async def _conversation(app_id: UUID, id_: UUID) -> Conversation:
    async with transaction() as session:
        return await standing.get(session, app_id, id_, field="conversationId")


@strawberry.type
class Subscription:
    """Watch the inbox."""

    @subscription(VIEW, MessageAdded, "New messages and private notes of a conversation.", by_viewer=False)
    async def message_added(
        self, info: Info, conversation_id: ConversationId, after: After = None
    ) -> AsyncGenerator[Moment, None]:
        """What is written."""
        return await _messages(info, conversation_id, after, {FactKind.MESSAGE_CREATED})

    @subscription(
        VIEW, MessageChanged, "Messages and notes of a conversation that are edited or deleted.", by_viewer=False
    )
    async def message_changed(
        self, info: Info, conversation_id: ConversationId, after: After = None
    ) -> AsyncGenerator[Moment, None]:
        """What is changed."""
        return await _messages(info, conversation_id, after, _EDITED)

    @subscription(
        VIEW,
        MessageReceiptChanged,
        "How far the messages of a conversation come: sent, delivered, read, failed.",
        by_viewer=False,
    )
    async def message_receipt_changed(
        self, info: Info, conversation_id: ConversationId, after: After = None
    ) -> AsyncGenerator[Moment, None]:
        """Receipts."""
        return await _messages(info, conversation_id, after, {FactKind.MESSAGE_RECEIPT_CHANGED})

    @subscription(
        VIEW, ConversationChanged, "What happens to a conversation: status, assignee, labels, priority, reading."
    )
    async def conversation_changed(
        self, info: Info, conversation_id: ConversationId, after: After = None
    ) -> AsyncGenerator[Moment, None]:
        """All but its messages."""
        app_id, id_ = info.context.asker().app_id, parse_id(conversation_id, "conversationId")

        async def state() -> Sequence[Conversation]:
            return [await _conversation(app_id, id_)]

        await state()
        return events(info, inbox_streams.whole(id_), after, kinds=_CONVERSATION, snapshot=state)

    @subscription(VIEW, ConversationAssigned, "Conversations that are given to you.")
    async def conversation_assigned(self, info: Info, after: After = None) -> AsyncGenerator[Moment, None]:
        """Of the person who asks."""
        asker = info.context.asker()
        own = Filter(statuses=standing.ACTIVE, assignee_id=asker.person())
        return events(info, inbox_streams.agent(asker.person()), after, snapshot=_newest(asker.app_id, own))

    @subscription(
        VIEW,
        ConversationList,
        "A list of conversations as it lives: the 50 with the newest activity, then what enters, changes and leaves.",
    )
    async def conversation_list(
        self, info: Info, filter: Chosen = None, after: After = None
    ) -> AsyncGenerator[Moment | ListChange, None]:
        """The list and its changes."""
        asker = info.context.asker()
        wanted = filter_of(asker, filter)
        return _changes(info, asker.app_id, wanted, after)

    @subscription(
        Permission.CONVERSE,
        OwnMessageChanged,
        "What happens to the messages of a conversation of this device's contact, from either side.",
    )
    async def own_message_changed(
        self, info: Info, conversation_id: ConversationId, after: After = None
    ) -> AsyncGenerator[Moment, None]:
        """Never a note."""
        id_ = parse_id(conversation_id, "conversationId")
        asker = info.context.asker()
        async with transaction() as session:
            await messages.own_conversation(session, asker, id_)

        async def newest() -> Sequence[Message]:
            async with transaction() as session:
                return (await messages.own(session, asker, id_, NEWEST)).rows

        return events(info, inbox_streams.seen_by_contact(id_), after, snapshot=newest)


def _newest(app_id: UUID, wanted: Filter) -> Callable[[], Awaitable[Sequence[Conversation]]]:
    """Reads the first page of a list."""

    async def read() -> Sequence[Conversation]:
        async with transaction(across_apps=bool(wanted.search)) as session:
            return (await listing.listed(session, app_id, wanted, PageRequest())).rows

    return read


async def _changes(
    info: Info, app_id: UUID, wanted: Filter, after: str | None
) -> AsyncGenerator[Moment | ListChange, None]:
    """The events of the inbox, each as what it makes of the list."""
    told = events(info, inbox_streams.inbox(app_id), after, kinds=live.TOLD, snapshot=_newest(app_id, wanted))
    async with aclosing(told) as moments:
        async for moment in moments:
            shown = await _change(wanted, moment) if isinstance(moment, StreamEvent) else moment
            if shown is not None:
                yield shown


async def _change(wanted: Filter, event: StreamEvent) -> ListChange | None:
    async with transaction(across_apps=bool(wanted.search)) as session:
        return await live.change_of(session, wanted, event)
