"""What happens in the inbox, as subscriptions tell it."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import strawberry

from domain.conversations import live
from domain.conversations.counting import Counts
from domain.conversations.live import ListChange, Move
from domain.streams.moments import Snapshot
from models.conversations import Conversation as ConversationRow
from models.messages import Message as MessageRow
from models.streams import StreamEvent as StreamEventRow
from schema.context import Info
from schema.conversations import Conversation, ConversationCounts
from schema.messages import Message, OwnMessage
from schema.streams import Resync, StreamChange, StreamEvent, moment
from schema.views import described, plain

described(
    Move,
    "What has become of a list.",
    ENTERED="The conversation belongs to it now: put it in, or where it is already, renew it.",
    UPDATED="The conversation has changed, and may stand elsewhere: put it in, or renew it.",
    LEFT="The conversation does not belong to it: take it out, if it is in.",
)


@moment(StreamEventRow, "Something happened to a message or a private note.")
class MessageChange(StreamChange):
    """An event of a message."""

    @strawberry.field(description="The message as it is now; null when it is gone.", graphql_type=Message | None)
    async def message(row: strawberry.Parent[StreamEventRow], info: Info) -> MessageRow | None:
        """The message."""
        return await info.context.loaders.message.load(row.entity_id)


@moment(StreamEventRow, "Messages have come further. One event tells of all of a conversation that did so at once.")
class MessageReceiptChange(StreamChange):
    """Receipts."""

    @strawberry.field(description="The messages as they are now, oldest first.", graphql_type=list[Message])
    async def messages(row: strawberry.Parent[StreamEventRow], info: Info) -> Sequence[MessageRow]:
        """Those that are still there."""
        found = await info.context.loaders.message.load_many([UUID(one) for one in row.data["messageIds"]])
        return [one for one in found if one]


@moment(StreamEventRow, "Something happened to a message that this device's contact sees.")
class OwnMessageChange(StreamChange):
    """An event of a message, on a device."""

    @strawberry.field(description="The messages as they are now, oldest first.", graphql_type=list[OwnMessage])
    async def messages(row: strawberry.Parent[StreamEventRow], info: Info) -> Sequence[MessageRow]:
        """Notes never get into the stream that it follows."""
        ids = [UUID(one) for one in row.data.get("messageIds", [str(row.entity_id)])]
        return [one for one in await info.context.loaders.message.load_many(ids) if one and not one.is_note]


@moment(StreamEventRow, "Something happened to a conversation.")
class ConversationChange(StreamChange):
    """An event of a conversation."""

    @strawberry.field(
        description="The conversation as it is now; null when it is gone.", graphql_type=Conversation | None
    )
    async def conversation(row: strawberry.Parent[StreamEventRow], info: Info) -> ConversationRow | None:
        """The conversation."""
        return await info.context.loaders.conversation.load(live.conversation_of(row))


@moment(Snapshot, "The messages as they stand; a change that is in them may follow all the same.")
class MessagesSnapshot(StreamEvent):
    """The state."""

    @strawberry.field(description="The 50 newest messages and notes, oldest first.", graphql_type=list[Message])
    def messages(row: strawberry.Parent[Snapshot]) -> Sequence[MessageRow]:
        """The messages."""
        return row.rows


@moment(Snapshot, "The messages as the contact sees them; a change that is in them may follow all the same.")
class OwnMessagesSnapshot(StreamEvent):
    """The state, on a device."""

    @strawberry.field(description="The 50 newest, oldest first.", graphql_type=list[OwnMessage])
    def messages(row: strawberry.Parent[Snapshot]) -> Sequence[MessageRow]:
        """The messages."""
        return row.rows


@moment(Snapshot, "The conversation as it stands; a change that is in it may follow all the same.")
class ConversationSnapshot(StreamEvent):
    """The state."""

    @strawberry.field(description="The conversation; null when it is gone.", graphql_type=Conversation | None)
    def conversation(row: strawberry.Parent[Snapshot]) -> ConversationRow | None:
        """The conversation."""
        return next(iter(row.rows), None)


async def _counts(info: Info) -> Counts:
    asker = info.context.asker()
    return await info.context.loaders.conversation_counts.load((asker.app_id, asker.user_id))


@moment(ListChange, "A list of conversations has changed.")
class ConversationListChange(StreamEvent):
    """A change of a list."""

    move: Move = plain("What has become of it.")
    conversation_id: strawberry.ID = plain("Which conversation.")

    @strawberry.field(
        description="The conversation as it is now; null where it LEFT.", graphql_type=Conversation | None
    )
    def conversation(row: strawberry.Parent[ListChange]) -> ConversationRow | None:
        """The conversation."""
        return row.row

    @strawberry.field(
        description="How many conversations each view holds now. What changes outside of the list is not told: for"
        " badges follow the list without a filter.",
        graphql_type=ConversationCounts,
    )
    async def counts(row: strawberry.Parent[ListChange], info: Info) -> Counts:
        """Counts."""
        return await _counts(info)


@moment(Snapshot, "A list of conversations as it stands; a change that is in it may follow all the same.")
class ConversationListSnapshot(StreamEvent):
    """The state."""

    @strawberry.field(description="The 50 with the newest activity.", graphql_type=list[Conversation])
    def conversations(row: strawberry.Parent[Snapshot]) -> Sequence[ConversationRow]:
        """The conversations."""
        return row.rows

    @strawberry.field(description="How many conversations each view holds.", graphql_type=ConversationCounts)
    async def counts(row: strawberry.Parent[Snapshot], info: Info) -> Counts:
        """Counts."""
        return await _counts(info)


MessageAdded = Annotated[
    MessageChange | MessagesSnapshot | Resync,
    strawberry.union("MessageAdded", description="What `messageAdded` tells."),
]
MessageChanged = Annotated[
    MessageChange | MessagesSnapshot | Resync,
    strawberry.union("MessageChanged", description="What `messageChanged` tells."),
]
MessageReceiptChanged = Annotated[
    MessageReceiptChange | MessagesSnapshot | Resync,
    strawberry.union("MessageReceiptChanged", description="What `messageReceiptChanged` tells."),
]
OwnMessageChanged = Annotated[
    OwnMessageChange | OwnMessagesSnapshot | Resync,
    strawberry.union("OwnMessageChanged", description="What `ownMessageChanged` tells."),
]
ConversationChanged = Annotated[
    ConversationChange | ConversationSnapshot | Resync,
    strawberry.union("ConversationChanged", description="What `conversationChanged` tells."),
]
ConversationAssigned = Annotated[
    ConversationChange | ConversationListSnapshot | Resync,
    strawberry.union("ConversationAssigned", description="What `conversationAssigned` tells."),
]
ConversationList = Annotated[
    ConversationListChange | ConversationListSnapshot | Resync,
    strawberry.union("ConversationList", description="What `conversationList` tells."),
]
