"""Conversations: as the team sees them, and as a contact does."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import strawberry

from domain.conversations.counting import Counts
from domain.pages import Page, PageRequest
from models.assignment import Assignment as AssignmentRow
from models.contacts import Contact as ContactRow
from models.conversations import Conversation as ConversationRow
from models.conversations import ConversationStatus, Direction, Priority
from models.labels import Label as LabelRow
from models.messages import Message as MessageRow
from models.team import AdminUser as AdminUserRow
from schema.assignment import Assignment
from schema.auth import AdminUser
from schema.channels import ChannelKind
from schema.contacts import Contact
from schema.context import Info
from schema.labels import Label
from schema.messages import Message
from schema.mutations import Payload
from schema.pagination import After, Before, Connection, First, Last
from schema.views import described, optional, plain, view

described(
    ConversationStatus,
    "Where a conversation stands.",
    OPEN="The team has to do something.",
    PENDING="It waits for something that is not the team.",
    SNOOZED="Put away until an instant, or until the contact writes.",
    RESOLVED="Done. It opens again when the contact writes within 7 days; after that a new one begins.",
    SPAM="Nobody is called by what arrives there.",
)
described(
    Priority,
    "How urgent a conversation is.",
    NONE="Nothing is said.",
    LOW="It can wait.",
    MEDIUM="As most.",
    HIGH="Before others.",
    URGENT="At once.",
)


class Assignee(StrEnum):
    """Whose conversations."""

    ME = "ME"
    NOBODY = "NOBODY"


described(Assignee, "Whose conversations.", ME="Those that you answer.", NOBODY="Those that nobody answers.")


@view(ConversationRow, description="What a contact and the team say to each other by one channel.")
class Conversation:
    """A conversation."""

    id: strawberry.ID = plain("UUID.")
    channel: ChannelKind = plain("By which it is held.")
    status: ConversationStatus = plain("Where it stands.")
    snoozed_until: datetime | None = plain("When it comes back, while it is SNOOZED.")
    priority: Priority = plain("How urgent it is.")
    queued_at: datetime | None = plain("Since when it waits for somebody to be assigned; null when it does not.")
    waiting_since: datetime | None = plain("The first message of the contact that the team has not answered.")
    first_response_at: datetime | None = plain("When a person of the team first answered.")
    resolved_at: datetime | None = plain("When it was resolved, while it is.")
    last_message_preview: str | None = plain("How the newest message begins, 200 characters at most; never a note.")
    last_message_direction: Direction | None = plain("Who the newest message is from.")
    last_message_at: datetime | None = plain("When the newest message was written.")
    last_activity_at: datetime = plain("Orders lists: the newest message or note, or when it opened again.")
    message_count: int = plain("Messages without the notes.")
    version: int = plain("Grows with every change.")
    contact_read_at: datetime | None = plain("Up to here the contact has read: the instant of a message.")
    created_at: datetime = plain("When it was opened.")

    @strawberry.field(description="Whom it is with.", graphql_type=Contact | None)
    async def contact(row: strawberry.Parent[ConversationRow], info: Info) -> ContactRow | None:
        """The contact."""
        return await info.context.loaders.contact.load(row.contact_id)

    @strawberry.field(description="Who of the team answers; null when nobody does.", graphql_type=AdminUser | None)
    async def assignee(row: strawberry.Parent[ConversationRow], info: Info) -> AdminUserRow | None:
        """The person."""
        return await info.context.loaders.user.load(row.assignee_id) if row.assignee_id else None

    @strawberry.field(description="The labels on it, by name: 20 at most.", graphql_type=list[Label])
    async def labels(row: strawberry.Parent[ConversationRow], info: Info) -> Sequence[LabelRow]:
        """The labels."""
        return await info.context.loaders.labels_of_conversation.load(row.id)

    @strawberry.field(description="The newest message; never a note.", graphql_type=Message | None)
    async def last_message(row: strawberry.Parent[ConversationRow], info: Info) -> MessageRow | None:
        """The message."""
        return await info.context.loaders.message.load(row.last_message_id) if row.last_message_id else None

    @strawberry.field(
        description="Messages of the contact that you have not read; 100 says that there are 100 or more. Null for a"
        " program. Refused in `messageAdded`, `messageChanged` and `messageReceiptChanged`, which tell everybody the"
        " same: `conversationList` tells it."
    )
    async def unread_count(row: strawberry.Parent[ConversationRow], info: Info) -> int | None:
        """Count as far as a badge shows."""
        asker = info.context.asker()
        return None if asker.api_key_id else await info.context.loaders.unread_count.load((row.id, asker.person()))

    @strawberry.field(
        description="The older conversation with this contact that it goes on with.",
        graphql_type="Conversation | None",
    )
    async def previous(row: strawberry.Parent[ConversationRow], info: Info) -> ConversationRow | None:
        """The older one."""
        return await info.context.loaders.conversation.load(row.previous_id) if row.previous_id else None

    @strawberry.field(
        description="Its messages and notes, oldest first. The newest are the `last` ones.",
        graphql_type=Connection[Message],
    )
    async def messages(
        row: strawberry.Parent[ConversationRow],
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Page[MessageRow]:
        """A page of messages."""
        request = PageRequest(first, after, last, before)
        return await info.context.loaders.messages_of_conversation.load((row.id, request))

    @strawberry.field(
        description="Who had it, and why that changed, oldest first.", graphql_type=Connection[Assignment]
    )
    async def assignments(
        row: strawberry.Parent[ConversationRow],
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Page[AssignmentRow]:
        """A page of the history."""
        request = PageRequest(first, after, last, before)
        return await info.context.loaders.assignments_of_conversation.load((row.id, request))


@view(ConversationRow, description="A conversation as the contact sees it.")
class OwnConversation:
    """A conversation on a device."""

    id: strawberry.ID = plain("UUID.")
    channel: ChannelKind = plain("By which it is held.")
    last_message_preview: str | None = plain("How the newest message begins, 200 characters at most.")
    last_message_direction: Direction | None = plain("Who the newest message is from.")
    last_message_at: datetime | None = plain("When the newest message was written.")
    created_at: datetime = plain("When it was opened.")

    @strawberry.field(description="Whether the team has closed it as done.")
    def is_resolved(row: strawberry.Parent[ConversationRow]) -> bool:
        """All else about the status is the team's business."""
        return row.status is ConversationStatus.RESOLVED


@view(Counts, description="Conversations by view. 1000 says that there are 1,000 or more.")
class ConversationCounts:
    """Counts."""

    open: int = plain("OPEN ones.")
    pending: int = plain("PENDING ones.")
    snoozed: int = plain("SNOOZED ones.")
    resolved: int = plain("RESOLVED ones.")
    spam: int = plain("SPAM.")
    mine: int = plain("OPEN and PENDING ones that you answer; 0 for a program.")
    unassigned: int = plain("OPEN and PENDING ones that nobody answers.")
    unread: int = plain("Those not closed with a message of the contact that you have not read; 0 for a program.")


@strawberry.input(description="Which conversations: those for which all holds that is given.")
class ConversationFilterInput:
    """A filter."""

    statuses: list[ConversationStatus] | None = optional("Any of these.")
    assignee: Assignee | None = optional("Yours, or nobody's.")
    assignee_id: strawberry.ID | None = optional("Those of this person.")
    label_id: strawberry.ID | None = optional("With this label.")
    channel: ChannelKind | None = optional("By this channel.")
    priority: Priority | None = optional("Of this priority.")
    unread: bool = strawberry.field(
        default=False,
        description="Only those with a message of the contact that you have not read; without `statuses` those not"
        " closed.",
    )
    search: str | None = optional(
        'Words of a message or note, as in a search engine ("exact words", or, -without), or part of the contact\'s'
        " name, e-mail, phone or external id; to 200 characters."
    )


@strawberry.input(description="With whom, and how.")
class OpenConversationInput:
    """A contact and a channel."""

    contact_id: strawberry.ID = plain("With whom.")
    channel: ChannelKind = strawberry.field(default=ChannelKind.IN_APP, description="By which channel: IN_APP.")


@strawberry.input(description="A conversation.")
class ConversationInput:
    """A conversation."""

    id: strawberry.ID = plain("The conversation.")


@strawberry.input(description="A conversation to put away.")
class SnoozeConversationInput:
    """A conversation and an instant."""

    id: strawberry.ID = plain("The conversation.")
    until: datetime = plain("When it comes back: in the future, in a year at the latest.")


@strawberry.input(description="How urgent a conversation is.")
class SetConversationPriorityInput:
    """A conversation and a priority."""

    id: strawberry.ID = plain("The conversation.")
    priority: Priority = plain("How urgent it is.")


@strawberry.input(description="How far you have read.")
class MarkConversationReadInput:
    """A conversation and a message."""

    id: strawberry.ID = plain("The conversation.")
    up_to_message_id: strawberry.ID | None = optional("The newest message read; the newest of all when left out.")


@strawberry.input(description="From where a conversation is to be unread.")
class MarkConversationUnreadInput:
    """A conversation and a message."""

    id: strawberry.ID = plain("The conversation.")
    from_message_id: strawberry.ID | None = optional(
        "The first message to be unread; the contact's last when left out."
    )


@strawberry.type(description="The conversation opened or changed.")
class ConversationPayload(Payload):
    """A conversation."""

    conversation: Conversation | None = plain("The conversation.")
