"""People, their apps and their sessions."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from domain.permissions import Permission
from domain.rate_limits import RateLimits as RateLimitsRow
from domain.rate_limits import effective
from models.apps import App as AppRow
from models.sessions import UserSession as UserSessionRow
from models.team import AdminUser as AdminUserRow
from schema.context import Info
from schema.mutations import Payload
from schema.views import described, plain, view

if TYPE_CHECKING:
    from schema.rate_limits import RateLimits
    from schema.sending_limits import SendingLimits

described(
    Permission,
    "A right. Each root field says in its description which it needs.",
    VIEW_CONTACTS="Read contacts and devices.",
    EDIT_CONTACTS="Create and change contacts.",
    DELETE_CONTACTS="Erase contacts.",
    MANAGE_DEVICES="Register devices.",
    TRACK_EVENTS="Track events of contacts; a device those of its own.",
    VIEW_BROADCASTS="Read broadcasts, their recipients and progress.",
    CREATE_BROADCASTS="Draft broadcasts.",
    EDIT_BROADCASTS="Change broadcasts that have not started.",
    DELETE_BROADCASTS="Delete drafts.",
    SEND_BROADCASTS="Send, schedule, pause, resume, cancel and test broadcasts.",
    VIEW_CONVERSATIONS="Read the inbox: conversations, messages, notes, labels.",
    EDIT_CONVERSATIONS="Answer, note, label, snooze, resolve: everything within a conversation.",
    EDIT_ASSIGNMENT="Say how conversations are assigned, and how many each of the team is given.",
    EDIT_LABELS="Make, rename, recolour and delete labels.",
    VIEW_WORKFLOWS="See workflows, check them, and try them out dry.",
    EDIT_WORKFLOWS="Draw workflows, publish them, and let contacts in.",
    VIEW_SETTINGS="Read the settings of the app, and which features it has.",
    RUN_WORKFLOWS="Start workflows for contacts and enrol them; cancel, retry and continue executions.",
    MANAGE_SETTINGS="Change the settings of the app.",
    VIEW_WEBHOOKS="See webhooks, what they were told and what came of it.",
    MANAGE_WEBHOOKS="Say which addresses are told what happens, test them, and tell them again.",
    VIEW_TEAM="See the people of the team and their roles.",
    MANAGE_TEAM="Invite people, change roles, remove people.",
    MANAGE_API_KEYS="Create, replace and revoke API keys.",
    VIEW_AUDIT_LOG="Read and export the audit log.",
    OWN_ACCOUNT="One's own account: sessions, password, second factor, going on in another app.",
    OWN_MEMBERSHIP="What others see of oneself, and leaving the team.",
    RECEIVE_MESSAGES="Receive in-app messages and report on them: what a device may.",
    CONVERSE="A device: the conversations of its contact, what they say there, and receipts.",
    UPLOAD_ATTACHMENTS="Upload files for messages, and ask for their addresses.",
)


@view(AppRow, description="A tenant: one product whose users a team talks to.")
class App:
    """A tenant."""

    id: strawberry.ID = plain("UUID.")
    name: str = plain("As the team calls it.")
    requires_two_factor: bool = plain("Whether its owners and admins must have a second factor.")
    created_at: datetime = plain("When it was created.")

    @strawberry.field(
        description="How often its people, keys and devices may ask.",
        graphql_type=Annotated["RateLimits", strawberry.lazy("schema.rate_limits")],
    )
    def rate_limits(row: strawberry.Parent[AppRow]) -> RateLimitsRow:
        """Those that hold."""
        return effective(row.rate_limits)

    @strawberry.field(
        description="When and how often it writes to one contact at most.",
        graphql_type=Annotated["SendingLimits", strawberry.lazy("schema.sending_limits")],
    )
    def sending_limits(row: strawberry.Parent[AppRow]) -> AppRow:
        """The app itself has them."""
        return row


@view(AdminUserRow, description="A person of the team.")
class AdminUser:
    """A person of the team."""

    id: strawberry.ID = plain("UUID.")
    name: str = plain("How they are called.")
    email: str = plain("Where they sign in with, lower-cased.")


@view(UserSessionRow, description="A sign-in that is alive: for 24 hours at most, for 30 minutes without use.")
class UserSession:
    """A sign-in."""

    id: strawberry.ID = plain("UUID.")
    ip: str = plain("Address at sign-in.")
    user_agent: str = plain("Program at sign-in, as it named itself.")
    created_at: datetime = plain("When it began.")
    last_active_at: datetime = plain("When it was last used; it may be ten seconds later than told.")
    expires_at: datetime = plain("When it ends at the latest.")

    @strawberry.field(description="Who signed in.", graphql_type=AdminUser | None)
    async def user(row: strawberry.Parent[UserSessionRow], info: Info) -> AdminUserRow | None:
        """The person."""
        return await info.context.loaders.user.load(row.user_id)

    @strawberry.field(description="The app it is for.", graphql_type=App | None)
    async def app(row: strawberry.Parent[UserSessionRow], info: Info) -> AppRow | None:
        """The tenant."""
        return await info.context.loaders.app.load(row.app_id)

    @strawberry.field(description="Whether it is the one this request came with.")
    def is_current(row: strawberry.Parent[UserSessionRow], info: Info) -> bool:
        """Compare with the asker's session."""
        return info.context.principal is not None and info.context.principal.session_id == row.id


@strawberry.type(description="What a sign-in hands out.")
class TokensPayload(Payload):
    """Tokens and the session they belong to."""

    access_token: str | None = plain("Send it as `Authorization: Bearer <token>`; good until `expiresAt`.")
    refresh_token: str | None = plain("Buys the next pair of tokens once, by refreshSession. Keep it secret.")
    expires_at: datetime | None = plain("When the access token ends.")
    session: UserSession | None = plain("The session.")
    challenge: str | None = plain(
        "Instead of tokens, from signIn, when the person has a second factor: take it with a code to confirmSignIn."
    )


@strawberry.type(description="The session that was ended.")
class RevokeSessionPayload(Payload):
    """The ended session."""

    session: UserSession | None = plain("The session, ended.")


@strawberry.type(description="The sessions that were ended.")
class RevokeOtherSessionsPayload(Payload):
    """The ended sessions."""

    sessions: list[UserSession] | None = plain("The sessions, ended.")


@strawberry.input(description="A new app and its owner.")
class SignUpInput:
    """A new app and its owner."""

    app_name: str = plain("Name of the app, 1 to 100 characters.")
    name: str = plain("Name of the owner, 1 to 100 characters.")
    email: str = plain("Where the owner signs in with.")
    password: str = plain("12 to 128 characters.")


@strawberry.input(description="Who signs in.")
class SignInInput:
    """Credentials."""

    email: str = plain("The account's e-mail.")
    password: str = plain("Its password.")


@strawberry.input(description="The proof of a second factor.")
class ConfirmSignInInput:
    """The second step of a sign-in."""

    challenge: str = plain("From signIn, five minutes ago at most.")
    code: str = plain("Six digits of the authenticator app, or a backup code.")


@strawberry.input(description="The token that buys the next pair.")
class RefreshSessionInput:
    """A refresh token."""

    refresh_token: str = plain("From signIn, or from the last refreshSession.")


@strawberry.input(description="Which session to end.")
class RevokeSessionInput:
    """A session."""

    id: strawberry.ID = plain("One of `sessions`.")


@strawberry.input(description="Where to go on.")
class SwitchAppInput:
    """An app."""

    app_id: strawberry.ID = plain("One of the viewer's memberships.")
