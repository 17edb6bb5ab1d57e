"""Assignment: by hand, from the queue, and how the app does it by itself."""

import strawberry

from core.database import transaction
from core.ids import parse_id
from domain.conversations.assignment import control, members, settings
from domain.permissions import Permission
from models.apps import App as AppRow
from models.conversations import Conversation as ConversationRow
from models.team import Membership as MembershipRow
from schema.assignment import (
    AssignConversationInput,
    AssignmentSettings,
    AssignmentSettingsPayload,
    SetAssignmentSettingsInput,
    SetAwayInput,
    SetMemberCapacityInput,
)
from schema.context import Info
from schema.conversations import ConversationPayload
from schema.mutations import mutation
from schema.permissions import requires
from schema.team import MembershipPayload


@strawberry.type
class Query:
    """Read how the app assigns."""

    @strawberry.field(
        description="How the app assigns conversations.",
        graphql_type=AssignmentSettings | None,
        extensions=requires(Permission.VIEW_CONVERSATIONS),
    )
    async def assignment_settings(self, info: Info) -> AppRow:
        """Of the asker's app."""
        async with transaction() as session:
            return await settings.get(session, info.context.asker().app_id)


@strawberry.type
class Mutation:
    """Assign, and say how it is done."""

    @mutation(
        Permission.EDIT_CONVERSATIONS,
        ConversationPayload,
        "Let a person of the team answer a conversation, however much they have, there or not; or nobody: then it waits"
        " in the queue. A CONFLICT comes with the conversation as it is. Repeatable.",
    )
    async def assign_conversation(self, info: Info, input: AssignConversationInput) -> ConversationRow:
        """Assign or unassign."""
        asker, id_ = info.context.asker(), parse_id(input.conversation_id, control.FIELD)
        user_id, expected = input.wanted(), input.expected()
        async with transaction() as session:
            if user_id is None:
                return await control.unassign(session, asker, id_, expected=expected)
            return await control.assign(session, asker, id_, user_id, expected=expected)

    @mutation(
        Permission.EDIT_CONVERSATIONS,
        ConversationPayload,
        "Answer what comes first in the queue: the most urgent, then who has waited longest. Null when nothing waits.",
    )
    async def take_next_conversation(self, info: Info) -> ConversationRow | None:
        """Take."""
        async with transaction() as session:
            return await control.take_next(session, info.context.asker())

    @mutation(Permission.EDIT_ASSIGNMENT, AssignmentSettingsPayload, "Say how the app assigns conversations.")
    async def set_assignment_settings(self, info: Info, input: SetAssignmentSettingsInput) -> AppRow:
        """Change."""
        async with transaction() as session:
            return await settings.update(session, info.context.asker(), input.given())

    @mutation(
        Permission.EDIT_ASSIGNMENT,
        MembershipPayload,
        "Say how many conversations a member is given at most. They keep those that they have.",
    )
    async def set_member_capacity(self, info: Info, input: SetMemberCapacityInput) -> MembershipRow:
        """Change."""
        async with transaction() as session:
            return await members.set_capacity(session, info.context.asker(), parse_id(input.id), input.capacity)

    @mutation(
        Permission.OWN_MEMBERSHIP, MembershipPayload, "Say that you want no conversations at present, or do again."
    )
    async def set_away(self, info: Info, input: SetAwayInput) -> MembershipRow:
        """Go away or come back."""
        async with transaction() as session:
            return await members.set_away(session, info.context.asker(), is_away=input.away)
