"""People, their apps and their sessions."""

from datetime import datetime

import strawberry

from domain.permissions import Permission
from models.apps import App as AppRow
from models.sessions import UserSession as UserSessionRow
from models.team import AdminUser as AdminUserRow
from schema.context import Info
from schema.mutations import Payload
from schema.views import described, plain, view

described(
    Permission,
    "A right. Each root field says in its description which it needs.",
    VIEW_CONTACTS="Read contacts and devices.",
    EDIT_CONTACTS="Create and change contacts.",
    DELETE_CONTACTS="Erase contacts.",
    MANAGE_DEVICES="Register devices.",
    VIEW_BROADCASTS="Read broadcasts, their recipients and progress.",
    CREATE_BROADCASTS="Draft broadcasts.",
    EDIT_BROADCASTS="Change broadcasts that have not started.",
    DELETE_BROADCASTS="Delete drafts.",
    SEND_BROADCASTS="Send, schedule, pause, resume, cancel and test broadcasts.",
    OWN_ACCOUNT="See and end one's own sessions.",
    RECEIVE_MESSAGES="Receive in-app messages and report on them: what a device may.",
)


@view(AppRow, description="A tenant: one product whose users a team talks to.")
class App:
    """A tenant."""

    id: strawberry.ID = plain("UUID.")
    name: str = plain("As the team calls it.")
    created_at: datetime = plain("When it was created.")


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
    last_active_at: datetime = plain("When it was last used, to the minute.")
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


@strawberry.type(description="The session that was ended.")
class RevokeSessionPayload(Payload):
    """The ended session."""

    session: UserSession | None = plain("The session, ended.")


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


@strawberry.input(description="The token that buys the next pair.")
class RefreshSessionInput:
    """A refresh token."""

    refresh_token: str = plain("From signIn, or from the last refreshSession.")


@strawberry.input(description="Which session to end.")
class RevokeSessionInput:
    """A session."""

    id: strawberry.ID = plain("One of `sessions`.")
