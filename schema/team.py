"""The people of a team and those who are invited."""

from datetime import datetime

import strawberry

from core.clock import now
from domain.conversations.assignment.agents import Load
from domain.team.accepting import Offer
from models.invitations import Invitation as InvitationRow
from models.team import AdminUser as AdminUserRow
from models.team import Membership as MembershipRow
from models.team import Role
from schema.assignment import AgentLoad
from schema.auth import AdminUser
from schema.context import Info
from schema.mutations import Payload
from schema.views import described, plain, view

described(
    Role,
    "What a person is within an app. Each has all rights of those below it.",
    OWNER="Everything: settings, team and API keys too. Every app has one at least.",
    ADMIN="The daily work: contacts and broadcasts; reads the audit log.",
    AGENT="Answers in the inbox; reads contacts and broadcasts.",
)


@view(MembershipRow, description="A person's place in the team of the app.")
class Membership:
    """A member."""

    id: strawberry.ID = plain("UUID.")
    role: Role = plain("What they are in this app.")
    capacity: int | None = plain("How many OPEN conversations they are given at most; null: as many as the app says.")
    is_away: bool = plain("Whether they want no conversations at present.")

    @strawberry.field(description="What they have to answer.", graphql_type=AgentLoad)
    async def load(row: strawberry.Parent[MembershipRow], info: Info) -> Load:
        """Count their open conversations."""
        return await info.context.loaders.load_of_member.load((row.app_id, row.user_id))

    @strawberry.field(description="When they joined.")
    def joined_at(row: strawberry.Parent[MembershipRow]) -> datetime:
        """When the row was made."""
        return row.created_at

    @strawberry.field(description="Who it is.", graphql_type=AdminUser | None)
    async def user(row: strawberry.Parent[MembershipRow], info: Info) -> AdminUserRow | None:
        """The person."""
        return await info.context.loaders.user.load(row.user_id)

    @strawberry.field(description="Whether they have a confirmed second factor.")
    async def has_second_factor(row: strawberry.Parent[MembershipRow], info: Info) -> bool:
        """Look among the second factors."""
        return await info.context.loaders.has_second_factor.load(row.user_id)

    @strawberry.field(description="When they last used this app, to ten seconds; null when not for 30 days.")
    async def last_active_at(row: strawberry.Parent[MembershipRow], info: Info) -> datetime | None:
        """Look among their sessions."""
        return await info.context.loaders.last_active.load((row.app_id, row.user_id))


@view(InvitationRow, description="An invitation of an e-mail address into the team.")
class Invitation:
    """An invitation."""

    id: strawberry.ID = plain("UUID.")
    email: str = plain("Who is invited, lower-cased.")
    role: Role = plain("What they are to be.")
    created_at: datetime = plain("When they were invited first.")
    expires_at: datetime = plain("Until when the newest link can be used.")

    @strawberry.field(description="Whether the link has expired. It can be sent again.")
    def is_expired(row: strawberry.Parent[InvitationRow]) -> bool:
        """Compare with the present."""
        return row.expires_at <= now()

    @strawberry.field(description="Who sent the newest link.", graphql_type=AdminUser | None)
    async def invited_by(row: strawberry.Parent[InvitationRow], info: Info) -> AdminUserRow | None:
        """The inviter."""
        return await info.context.loaders.user.load(row.invited_by_id) if row.invited_by_id else None


@view(Offer, description="What the link of an invitation offers, to be shown before it is accepted.")
class InvitationOffer:
    """What a link offers."""

    app_name: str = plain("The app whose team it is.")
    email: str = plain("Who is invited.")
    role: Role = plain("What they are to be.")
    inviter_name: str = plain("Who invites.")
    has_account: bool = plain("Whether this e-mail has an account: then its person signs in before they accept.")
    expires_at: datetime = plain("Until when it can be accepted.")


@strawberry.type(description="The invitation made or changed.")
class InvitationPayload(Payload):
    """An invitation."""

    invitation: Invitation | None = plain("The invitation.")


@strawberry.type(description="The member who was changed.")
class MembershipPayload(Payload):
    """A member."""

    membership: Membership | None = plain("The member.")


@strawberry.type(description="Who is not in the team any more.")
class RemoveMemberPayload(Payload):
    """The id of a membership that is gone."""

    deleted_membership_id: strawberry.ID | None = plain("Its id.")


@strawberry.input(description="Whom to invite.")
class InviteMemberInput:
    """An address and a role."""

    email: str = plain("Where the link is sent.")
    role: Role = plain("What they are to be; not above your own.")


@strawberry.input(description="Which invitation to send again.")
class ResendInvitationInput:
    """An invitation."""

    id: strawberry.ID = plain("One of `invitations`.")


@strawberry.input(description="Which invitation to revoke.")
class RevokeInvitationInput:
    """An invitation."""

    id: strawberry.ID = plain("One of `invitations`.")


@strawberry.input(description="Which invitation to accept, and the account to make where there is none.")
class AcceptInvitationInput:
    """A token, and a new account."""

    token: str = plain("What follows `#token=` in the link.")
    name: str | None = strawberry.field(default=None, description="Of a new account: 1 to 100 characters.")
    password: str | None = strawberry.field(default=None, description="Of a new account: 12 to 128 characters.")


@strawberry.input(description="Which member is to have which role.")
class UpdateMemberInput:
    """A member and a role."""

    id: strawberry.ID = plain("One of `team`.")
    role: Role = plain("What they are to be; not above your own.")


@strawberry.input(description="Which member to remove.")
class RemoveMemberInput:
    """A member."""

    id: strawberry.ID = plain("One of `team`.")


@strawberry.input(description="Who is to own the app instead of you.")
class TransferOwnershipInput:
    """A member and a password."""

    id: strawberry.ID = plain("One of `team`, not yourself.")
    password: str = plain("Your own, again.")
