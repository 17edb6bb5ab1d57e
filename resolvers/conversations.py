"""Conversations: read by the team and by devices, moved by the team."""

from typing import Annotated
from uuid import UUID

import strawberry

from core.database import transaction
from core.errors import Invalid
from core.ids import parse_id, parse_optional_id
from domain.conversations import control, counting, listing, opening, reads, standing
from domain.conversations.counting import Counts
from domain.conversations.listing import Filter
from domain.messages import listing as messages
from domain.pages import Page, PageRequest
from domain.permissions import Permission
from domain.principals import Principal
from models.conversations import Conversation as ConversationRow
from schema.context import Info
from schema.conversations import (
    Assignee,
    Conversation,
    ConversationCounts,
    ConversationFilterInput,
    ConversationInput,
    ConversationPayload,
    MarkConversationReadInput,
    MarkConversationUnreadInput,
    OpenConversationInput,
    OwnConversation,
    SetConversationPriorityInput,
    SnoozeConversationInput,
)
from schema.mutations import mutation
from schema.pagination import After, Before, Connection, First, Last
from schema.permissions import requires

VIEW, EDIT = Permission.VIEW_CONVERSATIONS, Permission.EDIT_CONVERSATIONS
Chosen = Annotated[ConversationFilterInput | None, strawberry.argument(description="Which; all when left out.")]


def filter_of(asker: Principal, given: ConversationFilterInput | None) -> Filter:
    """The filter as the asker means it."""
    if given is None:
        return Filter()
    return Filter(
        statuses=tuple(given.statuses or ()),
        assignee_id=_assignee(asker, given),
        unassigned=given.assignee is Assignee.NOBODY,
        label_id=parse_optional_id(given.label_id, "filter.labelId"),
        channel=given.channel,
        priority=given.priority,
        unread_by=asker.person() if given.unread else None,
        search=given.search,
    )


def _assignee(asker: Principal, given: ConversationFilterInput) -> UUID | None:
    if given.assignee and given.assignee_id:
        raise Invalid("Ask for assignee or for assigneeId, not for both.", field="filter.assigneeId")
    if given.assignee is Assignee.ME:
        return asker.person()
    return parse_optional_id(given.assignee_id, "filter.assigneeId")


@strawberry.type
class Query:
    """Read conversations."""

    @strawberry.field(description="A conversation.", graphql_type=Conversation | None, extensions=requires(VIEW))
    async def conversation(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The conversation.")]
    ) -> ConversationRow:
        """One conversation."""
        async with transaction() as session:
            return await standing.get(session, info.context.asker().app_id, parse_id(id))

    @strawberry.field(
        description="The conversations of the app, newest activity first.",
        graphql_type=Connection[Conversation] | None,
        extensions=requires(VIEW),
    )
    async def conversations(
        self,
        info: Info,
        filter: Chosen = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Page[ConversationRow]:
        """A page of conversations."""
        asker, request = info.context.asker(), PageRequest(first, after, last, before)
        wanted = filter_of(asker, filter)
        # behind the wall PostgreSQL searches without its indexes (docs/decisions/0007)
        async with transaction(across_apps=bool(wanted.search)) as session:
            return await listing.listed(session, asker.app_id, wanted, request)

    @strawberry.field(
        description="How many conversations each view holds.",
        graphql_type=ConversationCounts | None,
        extensions=requires(VIEW),
    )
    async def conversation_counts(self, info: Info) -> Counts:
        """Count."""
        asker = info.context.asker()
        async with transaction() as session:
            return await counting.counts(session, asker.app_id, asker.user_id)

    @strawberry.field(
        description="The conversations of this device's contact, newest first.",
        graphql_type=Connection[OwnConversation] | None,
        extensions=requires(Permission.CONVERSE),
    )
    async def own_conversations(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Page[ConversationRow]:
        """A page of a contact's conversations."""
        request = PageRequest(first, after, last, before)
        async with transaction() as session:
            return await messages.own_conversations(session, info.context.asker(), request)


@strawberry.type
class Mutation:
    """Open conversations and move them on."""

    @mutation(EDIT, ConversationPayload, "Begin a conversation with a contact, or find the one that is not closed.")
    async def open_conversation(self, info: Info, input: OpenConversationInput) -> ConversationRow:
        """Open."""
        contact_id = parse_id(input.contact_id, "contactId")
        async with transaction() as session:
            return await opening.open_or_find(session, info.context.asker(), contact_id, input.channel)

    @mutation(EDIT, ConversationPayload, "Close a conversation as done. Repeatable.")
    async def resolve_conversation(self, info: Info, input: ConversationInput) -> ConversationRow:
        """Resolve."""
        async with transaction() as session:
            return await control.resolve(session, info.context.asker(), parse_id(input.id))

    @mutation(EDIT, ConversationPayload, "Make a conversation OPEN, whatever it was. Repeatable.")
    async def reopen_conversation(self, info: Info, input: ConversationInput) -> ConversationRow:
        """Reopen."""
        async with transaction() as session:
            return await control.reopen(session, info.context.asker(), parse_id(input.id))

    @mutation(EDIT, ConversationPayload, "Put a conversation away until an instant, or until the contact writes.")
    async def snooze_conversation(self, info: Info, input: SnoozeConversationInput) -> ConversationRow:
        """Snooze."""
        async with transaction() as session:
            return await control.snooze(session, info.context.asker(), parse_id(input.id), input.until)

    @mutation(EDIT, ConversationPayload, "Set a conversation aside: it waits for something that is not the team.")
    async def mark_conversation_pending(self, info: Info, input: ConversationInput) -> ConversationRow:
        """Set aside."""
        async with transaction() as session:
            return await control.set_aside(session, info.context.asker(), parse_id(input.id))

    @mutation(EDIT, ConversationPayload, "Close a conversation as spam, with what else the contact sends there.")
    async def mark_conversation_spam(self, info: Info, input: ConversationInput) -> ConversationRow:
        """Call spam."""
        async with transaction() as session:
            return await control.mark_spam(session, info.context.asker(), parse_id(input.id))

    @mutation(EDIT, ConversationPayload, "Set how urgent a conversation is.")
    async def set_conversation_priority(self, info: Info, input: SetConversationPriorityInput) -> ConversationRow:
        """Set the priority."""
        async with transaction() as session:
            return await control.prioritise(session, info.context.asker(), parse_id(input.id), input.priority)

    @mutation(EDIT, ConversationPayload, "Note how far you have read. It only goes forward. Repeatable.")
    async def mark_conversation_read(self, info: Info, input: MarkConversationReadInput) -> ConversationRow:
        """Note as read."""
        up_to = parse_optional_id(input.up_to_message_id, "upToMessageId")
        async with transaction() as session:
            return await reads.mark_read(session, info.context.asker(), parse_id(input.id), up_to)

    @mutation(EDIT, ConversationPayload, "Make a conversation unread to you, from a message on.")
    async def mark_conversation_unread(self, info: Info, input: MarkConversationUnreadInput) -> ConversationRow:
        """Make unread."""
        from_ = parse_optional_id(input.from_message_id, "fromMessageId")
        async with transaction() as session:
            return await reads.mark_unread(session, info.context.asker(), parse_id(input.id), from_)
