"""What is said in conversations, by either side."""

from typing import Annotated
from uuid import UUID

import strawberry

from core.database import transaction
from core.ids import parse_id, parse_optional_id
from domain.messages import changing, listing, receipts, sending
from domain.messages.receipts import Report
from domain.messages.writing import Draft
from domain.pages import Page, PageRequest
from domain.permissions import Permission
from models.messages import Message as MessageRow
from schema.context import Info
from schema.messages import (
    AddNoteInput,
    DeleteMessageInput,
    EditMessageInput,
    MarkOwnMessagesInput,
    MessagePayload,
    MessageReceiptsPayload,
    OwnMessage,
    OwnMessagePayload,
    ReportMessageReceiptsInput,
    SendMessageInput,
    SendMessagePayload,
    SendOwnMessageInput,
    Sent,
)
from schema.mutations import mutation
from schema.pagination import After, Before, Connection, First, Last
from schema.permissions import requires

EDIT, CONVERSE = Permission.EDIT_CONVERSATIONS, Permission.CONVERSE


def _attached(ids: list[strawberry.ID] | None) -> list[UUID]:
    return [parse_id(one, f"attachmentIds.{at}") for at, one in enumerate(ids or ())]


@strawberry.type
class Query:
    """Read messages, as a device does; the team reads them in their conversations."""

    @strawberry.field(
        description="The messages of a conversation of this device's contact, oldest first. The newest are the `last`"
        " ones.",
        graphql_type=Connection[OwnMessage] | None,
        extensions=requires(CONVERSE),
    )
    async def own_messages(
        self,
        info: Info,
        conversation_id: Annotated[strawberry.ID, strawberry.argument(description="The conversation.")],
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Page[MessageRow]:
        """A page of messages."""
        request = PageRequest(first, after, last, before)
        id_ = parse_id(conversation_id, "conversationId")
        async with transaction() as session:
            return await listing.own(session, info.context.asker(), id_, request)


@strawberry.type
class Mutation:
    """Say, note, edit, delete, report."""

    @mutation(EDIT, SendMessagePayload, "Answer the contact. An answer does not reopen what is resolved.")
    async def send_message(self, info: Info, input: SendMessageInput) -> Sent:
        """Answer."""
        id_ = parse_id(input.conversation_id, "conversationId")
        expected = parse_optional_id(input.expected_last_message_id, "expectedLastMessageId")
        draft = Draft(input.body, input.client_key, _attached(input.attachment_ids))
        async with transaction() as session:
            asker = info.context.asker()
            return Sent(await sending.send(session, asker, id_, draft, expected_last_message_id=expected))

    @mutation(EDIT, MessagePayload, "Write a private note beside a conversation. The contact never sees it.")
    async def add_note(self, info: Info, input: AddNoteInput) -> MessageRow:
        """Note."""
        id_ = parse_id(input.conversation_id, "conversationId")
        named = enumerate(input.mentioned_user_ids or ())
        mentioned = [parse_id(one, f"mentionedUserIds.{at}") for at, one in named]
        draft = Draft(input.body, input.client_key, _attached(input.attachment_ids), mentioned)
        async with transaction() as session:
            return await sending.note(session, info.context.asker(), id_, draft)

    @mutation(EDIT, MessagePayload, "Change the text of a message or note of the team. What it said before is kept.")
    async def edit_message(self, info: Info, input: EditMessageInput) -> MessageRow:
        """Edit."""
        async with transaction() as session:
            return await changing.edit(session, info.context.asker(), parse_id(input.id), input.body)

    @mutation(EDIT, MessagePayload, "Take the text of a message or note of the team away; that there was one stays.")
    async def delete_message(self, info: Info, input: DeleteMessageInput) -> MessageRow:
        """Delete."""
        async with transaction() as session:
            return await changing.delete(session, info.context.asker(), parse_id(input.id))

    @mutation(
        CONVERSE,
        OwnMessagePayload,
        "Say something to the team as this device's contact. It opens a conversation, or goes on with one.",
    )
    async def send_own_message(self, info: Info, input: SendOwnMessageInput) -> MessageRow:
        """Say."""
        draft = Draft(input.body, input.client_key, _attached(input.attachment_ids))
        async with transaction() as session:
            return await sending.say(session, info.context.asker(), draft)

    @mutation(
        CONVERSE, MessageReceiptsPayload, "Report how far this device, or its person, is in a conversation. Repeatable."
    )
    async def mark_own_messages(self, info: Info, input: MarkOwnMessagesInput) -> int:
        """Take a pointer."""
        up_to = parse_id(input.up_to_message_id, "upToMessageId")
        async with transaction() as session:
            return await receipts.mark(session, info.context.asker(), up_to, input.receipt)

    @mutation(CONVERSE, MessageReceiptsPayload, "Report on single messages of conversations. Repeatable.")
    async def report_message_receipts(self, info: Info, input: ReportMessageReceiptsInput) -> int:
        """Take reports."""
        reports = [
            Report(parse_id(one.message_id, f"receipts.{at}.messageId"), one.receipt)
            for at, one in enumerate(input.receipts)
        ]
        async with transaction() as session:
            return await receipts.report(session, info.context.asker(), reports)
