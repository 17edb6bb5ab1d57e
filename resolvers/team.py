"""The team: who is in, who is invited."""

from typing import Annotated
from uuid import UUID

import strawberry

from core.database import transaction
from core.ids import parse_id
from domain import tries
from domain.pages import Page, PageRequest
from domain.permissions import Permission
from domain.sessions import SignedIn
from domain.team import accepting, invitations, limits, members
from domain.team.accepting import Offer
from models.invitations import Invitation as InvitationRow
from models.team import Membership as MembershipRow
from schema.auth import TokensPayload
from schema.context import Info
from schema.mutations import mutation
from schema.pagination import After, Before, Connection, First, Last
from schema.permissions import public, requires
from schema.team import (
    AcceptInvitationInput,
    Invitation,
    InvitationOffer,
    InvitationPayload,
    InviteMemberInput,
    Membership,
    MembershipPayload,
    RemoveMemberInput,
    RemoveMemberPayload,
    ResendInvitationInput,
    RevokeInvitationInput,
    TransferOwnershipInput,
    UpdateMemberInput,
)


@strawberry.type
class Query:
    """Read the team and its invitations."""

    @strawberry.field(
        description="The people of the team, who joined first comes first.",
        graphql_type=Connection[Membership] | None,
        extensions=requires(Permission.VIEW_TEAM),
    )
    async def team(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Page[MembershipRow]:
        """A page of members."""
        async with transaction() as session:
            return await members.listed(session, info.context.asker().app_id, PageRequest(first, after, last, before))

    @strawberry.field(
        description="The invitations that are open or have expired, newest first.",
        graphql_type=Connection[Invitation] | None,
        extensions=requires(Permission.MANAGE_TEAM),
    )
    async def invitations(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Page[InvitationRow]:
        """A page of invitations."""
        request = PageRequest(first, after, last, before)
        async with transaction() as session:
            return await invitations.listed(session, info.context.asker().app_id, request)

    @strawberry.field(
        description="What the link of an invitation offers.", graphql_type=InvitationOffer | None, extensions=public()
    )
    async def invitation(
        self, token: Annotated[str, strawberry.argument(description="What follows `#token=` in the link.")]
    ) -> Offer:
        """One invitation, for who holds its link."""
        async with transaction(across_apps=True) as session:
            return await accepting.look(session, token)


@strawberry.type
class Mutation:
    """Change the team."""

    @mutation(Permission.MANAGE_TEAM, InvitationPayload, "Invite somebody: mails them a link, good for 7 days.")
    async def invite_member(self, info: Info, input: InviteMemberInput) -> InvitationRow:
        """Invite."""
        await limits.count_mail(info.context.asker().app_id)
        async with transaction() as session:
            return await invitations.invite(session, info.context.asker(), input.email, input.role)

    @mutation(
        Permission.MANAGE_TEAM,
        InvitationPayload,
        "Mail a new link, good for 7 days, for an invitation that is open or has expired. The old link is dead.",
    )
    async def resend_invitation(self, info: Info, input: ResendInvitationInput) -> InvitationRow:
        """Send again."""
        await limits.count_mail(info.context.asker().app_id)
        async with transaction() as session:
            return await invitations.resend(session, info.context.asker(), parse_id(input.id))

    @mutation(Permission.MANAGE_TEAM, InvitationPayload, "Make an invitation void. Its link is dead.")
    async def revoke_invitation(self, info: Info, input: RevokeInvitationInput) -> InvitationRow:
        """Make void."""
        async with transaction() as session:
            return await invitations.revoke(session, info.context.asker(), parse_id(input.id))

    @mutation(
        None,
        TokensPayload,
        "Join a team by the link of an invitation; signs in to its app. Who has an account is signed in already.",
    )
    async def accept_invitation(self, info: Info, input: AcceptInvitationInput) -> SignedIn:
        """Join."""
        return await accepting.accept(
            info.context.caller,
            info.context.principal,
            token=input.token,
            name=input.name,
            password=input.password,
        )

    @mutation(
        Permission.MANAGE_TEAM, MembershipPayload, "Give a member another role. Their sessions in this app end at once."
    )
    async def update_member(self, info: Info, input: UpdateMemberInput) -> MembershipRow:
        """Give another role."""
        async with transaction() as session:
            return await members.update(session, info.context.asker(), parse_id(input.id), input.role)

    @mutation(
        Permission.MANAGE_TEAM,
        RemoveMemberPayload,
        "Take a member out of the team. Their sessions in this app end at once, and you take over their API keys.",
    )
    async def remove_member(self, info: Info, input: RemoveMemberInput) -> UUID:
        """Take out."""
        async with transaction() as session:
            return (await members.remove(session, info.context.asker(), parse_id(input.id))).id

    @mutation(
        Permission.OWN_MEMBERSHIP,
        RemoveMemberPayload,
        "Leave the team of this app. Your sessions in it end at once, and an owner takes over your API keys.",
    )
    async def leave_app(self, info: Info) -> UUID:
        """Leave."""
        async with transaction() as session:
            return (await members.leave(session, info.context.asker())).id

    @mutation(
        Permission.MANAGE_TEAM,
        MembershipPayload,
        "Make another member an owner, and yourself, an owner until now, an admin. Their sessions in this app end.",
    )
    async def transfer_ownership(self, info: Info, input: TransferOwnershipInput) -> MembershipRow:
        """Hand over."""
        asker, member_id = info.context.asker(), parse_id(input.id)
        await tries.password_again(asker, input.password)
        async with transaction() as session:
            return await members.transfer(session, asker, member_id)
