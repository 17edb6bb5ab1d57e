"""What is said in conversations: as the team sees it, and as a contact does."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from domain.messages.receipts import Receipt
from models.attachments import Attachment as AttachmentRow
from models.conversations import Conversation as ConversationRow
from models.conversations import Direction
from models.messages import AuthorKind, MessageStatus
from models.messages import Message as MessageRow
from models.messages import MessageRevision as MessageRevisionRow
from models.team import AdminUser as AdminUserRow
from schema.attachments import Attachment
from schema.auth import AdminUser
from schema.context import Info
from schema.mutations import Payload
from schema.views import described, optional, plain, view

if TYPE_CHECKING:
    from schema.conversations import Conversation

KEY = "A text of your choice: the same message under the same key is written once, however often it arrives."
BODY = "The text, to 10,000 characters; may be empty when something is attached."
ATTACHED = "Files that you have uploaded within a day, in this order, 10 at most. Each gets into one message."

described(Direction, "Who a message is from.", INBOUND="From the contact.", OUTBOUND="From the team.")
described(
    MessageStatus,
    "How far a message has come. It only goes forward.",
    QUEUED="It waits to be sent.",
    SENT="It is on its way; of an inbound one: it is here.",
    DELIVERED="It has arrived at a device.",
    READ="The contact has read it.",
    FAILED="It could not be sent.",
)
described(
    AuthorKind,
    "Who wrote a message.",
    USER="A person of the team.",
    KEY="A program with an API key.",
    DEVICE="A device of the contact.",
    CONTACT="The contact, by another channel.",
    SYSTEM="The product itself.",
)
described(
    Receipt,
    "What a device reports of the team's messages.",
    DELIVERED="They have arrived.",
    READ="The person has read them; includes DELIVERED.",
)


@view(MessageRevisionRow, description="What a message said before it was edited.")
class MessageRevision:
    """An older text."""

    id: strawberry.ID = plain("UUID.")
    body: str = plain("What it said.")
    actor: str = plain("Who edited it: `user:<id>` or `key:<id>`.")
    created_at: datetime = plain("When it was edited.")


async def _person(row: MessageRow, info: Info) -> AdminUserRow | None:
    """The person of the team who wrote a message."""
    if row.author_kind is not AuthorKind.USER or row.author_id is None:
        return None
    return await info.context.loaders.user.load(row.author_id)


@view(MessageRow, description="A message of a conversation, or a private note of the team beside it.")
class Message:
    """A message or note."""

    id: strawberry.ID = plain("UUID.")
    conversation_id: strawberry.ID = plain("The conversation that it stands in.")
    direction: Direction = plain("Who it is from.")
    is_note: bool = plain("Whether it is a private note, which the contact never sees.")
    author_kind: AuthorKind = plain("What kind of author wrote it.")
    author_id: strawberry.ID | None = plain("The person, API key, device or contact who wrote it.")
    body: str = plain("The text; empty once it is deleted.")
    client_key: str | None = plain("The author's own name for it.")
    status: MessageStatus = plain("How far it has come.")
    failure: str | None = plain("Why it could not be sent: a stable code.")
    sent_at: datetime | None = plain("When it went out.")
    delivered_at: datetime | None = plain("When it arrived at a device.")
    read_at: datetime | None = plain("When the contact read it.")
    failed_at: datetime | None = plain("When it turned out that it cannot be sent.")
    edited_at: datetime | None = plain("When it was last edited.")
    deleted_at: datetime | None = plain("When it was deleted.")
    created_at: datetime = plain("When it was written; later than all before it in the conversation.")

    @strawberry.field(
        description="The conversation that it stands in.",
        graphql_type=Annotated["Conversation", strawberry.lazy("schema.conversations")] | None,
    )
    async def conversation(row: strawberry.Parent[MessageRow], info: Info) -> ConversationRow | None:
        """The conversation."""
        return await info.context.loaders.conversation.load(row.conversation_id)

    @strawberry.field(description="What is attached, in order: 10 at most.", graphql_type=list[Attachment])
    async def attachments(row: strawberry.Parent[MessageRow], info: Info) -> Sequence[AttachmentRow]:
        """The files."""
        return await info.context.loaders.attachments_of_message.load(row.id)

    @strawberry.field(description="The person of the team who wrote it.", graphql_type=AdminUser | None)
    async def author(row: strawberry.Parent[MessageRow], info: Info) -> AdminUserRow | None:
        """The person, when it is one."""
        return await _person(row, info)

    @strawberry.field(description="People of the team whom a note calls: 20 at most.", graphql_type=list[AdminUser])
    async def mentioned(row: strawberry.Parent[MessageRow], info: Info) -> Sequence[AdminUserRow]:
        """Those who are still there."""
        people = await info.context.loaders.user.load_many(row.mentioned_ids)
        return [person for person in people if person]

    @strawberry.field(
        description="What it said before it was edited, oldest first.", graphql_type=list[MessageRevision]
    )
    async def revisions(row: strawberry.Parent[MessageRow], info: Info) -> Sequence[MessageRevisionRow]:
        """Older texts; most messages have none, and are not looked up."""
        return await info.context.loaders.revisions_of_message.load(row.id) if row.edited_at else ()


@view(MessageRow, description="A message as the contact sees it.")
class OwnMessage:
    """A message on a device. Notes are never shown so."""

    id: strawberry.ID = plain("UUID.")
    conversation_id: strawberry.ID = plain("The conversation that it stands in.")
    direction: Direction = plain("OUTBOUND is from the team, INBOUND from the contact.")
    body: str = plain("The text; empty once it is deleted.")
    status: MessageStatus = plain("How far it has come.")
    edited_at: datetime | None = plain("When it was last edited.")
    deleted_at: datetime | None = plain("When it was deleted.")
    created_at: datetime = plain("When it was written; later than all before it in the conversation.")

    @strawberry.field(description="What is attached, in order: 10 at most.", graphql_type=list[Attachment])
    async def attachments(row: strawberry.Parent[MessageRow], info: Info) -> Sequence[AttachmentRow]:
        """The files."""
        return await info.context.loaders.attachments_of_message.load(row.id)

    @strawberry.field(description="The name of the person of the team who wrote it; null for all others.")
    async def author_name(row: strawberry.Parent[MessageRow], info: Info) -> str | None:
        """The person's name."""
        person = await _person(row, info)
        return person.name if person else None

    @strawberry.field(description="The device's own name for what it has sent.")
    def client_key(row: strawberry.Parent[MessageRow]) -> str | None:
        """The key of an inbound message; those of the team are none of a device's business."""
        return row.client_key if row.direction is Direction.INBOUND else None


@strawberry.input(description="An answer to the contact.")
class SendMessageInput:
    """An answer."""

    conversation_id: strawberry.ID = plain("Where.")
    body: str = plain(BODY)
    attachment_ids: list[strawberry.ID] | None = optional(ATTACHED)
    client_key: str | None = optional(KEY)
    expected_last_message_id: strawberry.ID | None = optional(
        "The newest message or note that you have seen. When somebody else wrote after it, nothing is sent, and"
        " `unseenMessages` has what is new."
    )


@strawberry.input(description="A private note beside a conversation.")
class AddNoteInput:
    """A note."""

    conversation_id: strawberry.ID = plain("Where.")
    body: str = plain(BODY)
    attachment_ids: list[strawberry.ID] | None = optional(ATTACHED)
    mentioned_user_ids: list[strawberry.ID] | None = optional("People of the team whom it calls, 20 at most.")
    client_key: str | None = optional(KEY)


@strawberry.input(description="Another text for a message or note of the team.")
class EditMessageInput:
    """An edit."""

    id: strawberry.ID = plain("The message.")
    body: str = plain("The new text, to 10,000 characters.")


@strawberry.input(description="Which message or note of the team to delete.")
class DeleteMessageInput:
    """A message."""

    id: strawberry.ID = plain("The message.")


@strawberry.input(description="What the contact says.")
class SendOwnMessageInput:
    """A message of a device."""

    body: str = plain(BODY)
    attachment_ids: list[strawberry.ID] | None = optional(ATTACHED)
    client_key: str | None = optional(KEY)


@strawberry.input(description="How far a device, or its person, is.")
class MarkOwnMessagesInput:
    """A pointer."""

    up_to_message_id: strawberry.ID = plain("The newest message that it holds for, and so do all before it.")
    receipt: Receipt = plain("What has been done with them.")


@strawberry.input(description="What a device did with one message of a conversation.")
class MessageReceiptInput:
    """One report."""

    message_id: strawberry.ID = plain("The message.")
    receipt: Receipt = plain("What was done.")


@strawberry.input(description="What a device did with messages of its conversations.")
class ReportMessageReceiptsInput:
    """Reports."""

    receipts: list[MessageReceiptInput] = plain("1 to 100; of several about one message the furthest counts.")


@dataclass(frozen=True)
class Sent:
    """What a message that was sent looks like to `SendMessagePayload`."""

    message: MessageRow
    unseen_messages: Sequence[MessageRow] | None = None


@strawberry.type(description="The message sent, or what to read first.")
class SendMessagePayload(Payload):
    """A message, or others."""

    message: Message | None = plain("The message.")
    unseen_messages: list[Message] | None = plain(
        "With CONFLICT at `expectedLastMessageId`: what others wrote after it, oldest first, 100 at most."
    )


@strawberry.type(description="The message or note made or changed.")
class MessagePayload(Payload):
    """A message."""

    message: Message | None = plain("The message.")


@strawberry.type(description="The message sent.")
class OwnMessagePayload(Payload):
    """A message of a device."""

    message: OwnMessage | None = plain("The message.")


@strawberry.type(description="What came of the reports.")
class MessageReceiptsPayload(Payload):
    """A count."""

    moved: int | None = plain("Messages that came a step further. Repeated reports are fine, and not counted.")
