"""Assignment: who answers a conversation, who had it, how an app decides."""

from datetime import datetime
from uuid import UUID

import strawberry

from core.errors import Invalid
from core.ids import parse_optional_id
from domain.conversations.assignment.agents import Load
from domain.conversations.assignment.control import Held
from domain.conversations.assignment.settings import AssignmentSettings as Changes
from models.apps import App as AppRow
from models.assignment import Assignment as AssignmentRow
from models.assignment import AssignmentMode, AssignmentReason
from models.team import AdminUser as AdminUserRow
from schema.audit import PERSON
from schema.auth import AdminUser
from schema.context import Info
from schema.mutations import Payload
from schema.views import described, optional, plain, view

described(
    AssignmentMode,
    "How conversations come to the people of the team.",
    MANUAL="By hand: assignConversation, or takeNextConversation from the queue.",
    ROUND_ROBIN="In turn: to who is free and has waited longest for one.",
    BALANCED="By load: to who is free and has the fewest open ones, then in turn.",
)
described(
    AssignmentReason,
    "Why a conversation came to somebody else, or to nobody.",
    MANUAL="Somebody assigned it, or began it.",
    ROUND_ROBIN="It opened, and it was their turn.",
    BALANCED="It opened, and they had the fewest.",
    QUEUE="It waited, and they became free or took it.",
    REOPENED="It came back, and who had it could not take it.",
    UNASSIGNED="Somebody took it away or gave it back, or who had it left the team.",
    OFFLINE="The contact waited, and who had it was gone for too long.",
)


@view(AssignmentRow, description="A change of who answers a conversation.")
class Assignment:
    """An entry of the history."""

    id: strawberry.ID = plain("UUID.")
    reason: AssignmentReason = plain("Why.")
    actor: str = plain("By whom: user:<id>, key:<id> or system.")
    created_at: datetime = plain("When.")

    @strawberry.field(
        description="Who had it before; null for nobody, or when their account is gone.", graphql_type=AdminUser | None
    )
    async def from_user(row: strawberry.Parent[AssignmentRow], info: Info) -> AdminUserRow | None:
        """The one before."""
        return await info.context.loaders.user.load(row.from_id) if row.from_id else None

    @strawberry.field(
        description="Who has had it since; null for nobody, or when their account is gone.",
        graphql_type=AdminUser | None,
    )
    async def to_user(row: strawberry.Parent[AssignmentRow], info: Info) -> AdminUserRow | None:
        """The one after."""
        return await info.context.loaders.user.load(row.to_id) if row.to_id else None

    @strawberry.field(description="The person who did it, if it was one.", graphql_type=AdminUser | None)
    async def by(row: strawberry.Parent[AssignmentRow], info: Info) -> AdminUserRow | None:
        """The actor."""
        if not row.actor.startswith(PERSON):
            return None
        return await info.context.loaders.user.load(UUID(row.actor.removeprefix(PERSON)))


@view(AppRow, description="How the app assigns conversations.")
class AssignmentSettings:
    """Settings of an app."""

    agent_capacity: int = plain("How many OPEN conversations somebody is given at most who has no number of their own.")
    requeue_after_minutes: int | None = plain(
        "When the contact waits and who answers is gone for so long, it goes to the queue; null: never. Not in MANUAL."
    )

    @strawberry.field(description="How conversations come to people.")
    def mode(row: strawberry.Parent[AppRow]) -> AssignmentMode:
        """By hand, in turn, or by load."""
        return row.assignment_mode


@view(Load, description="What somebody has to answer.")
class AgentLoad:
    """A load."""

    open: int = plain("OPEN conversations that they answer.")
    capacity: int = plain("So many are given to them at most; by hand they can get more.")


@strawberry.input(description="A conversation, and who is to answer it.")
class AssignConversationInput:
    """A conversation and a person."""

    conversation_id: strawberry.ID = plain("The conversation.")
    user_id: strawberry.Maybe[strawberry.ID | None] = plain("A person of the team; null: nobody. It must be there.")
    expected_assignee_id: strawberry.Maybe[strawberry.ID | None] = plain(
        "Who answers it, as you believe, null for nobody. If it is not so, nothing changes: CONFLICT."
    )

    def wanted(self) -> UUID | None:
        """Who is to have it.

        Raises:
            Invalid: nothing is said, or the id is none.
        """
        if self.user_id is None:
            raise Invalid("Say who is to answer: a person of the team, or null for nobody.", field="userId")
        return parse_optional_id(self.user_id.value, "userId")

    def expected(self) -> Held | None:
        """Who is believed to have it.

        Raises:
            Invalid: the id is none.
        """
        if self.expected_assignee_id is None:
            return None
        return Held(parse_optional_id(self.expected_assignee_id.value, "expectedAssigneeId"))


@strawberry.input(description="How the app assigns. What is left out stays.")
class SetAssignmentSettingsInput:
    """Settings that change."""

    mode: AssignmentMode | None = optional("How conversations come to people.")
    agent_capacity: int | None = optional("How many OPEN conversations somebody is given at most: 0 to 1,000.")
    requeue_after_minutes: strawberry.Maybe[int | None] = plain("1 to 1,440 minutes; null: never.")

    def given(self) -> Changes:
        """The settings that the client wrote."""
        given: Changes = {}
        if self.mode is not None:
            given["assignment_mode"] = self.mode
        if self.agent_capacity is not None:
            given["agent_capacity"] = self.agent_capacity
        if self.requeue_after_minutes is not None:
            given["requeue_after_minutes"] = self.requeue_after_minutes.value
        return given


@strawberry.input(description="How much a member can take.")
class SetMemberCapacityInput:
    """A member and a number."""

    id: strawberry.ID = plain("One of `team`.")
    capacity: int | None = optional("0 to 1,000 OPEN conversations, 0 for none; null: as many as the app says.")


@strawberry.input(description="Whether you want conversations.")
class SetAwayInput:
    """Away or not."""

    away: bool = plain("While true, none is given to you; you keep those that you have.")


@strawberry.type(description="The settings as they are since.")
class AssignmentSettingsPayload(Payload):
    """Settings."""

    assignment_settings: AssignmentSettings | None = plain("The settings.")
