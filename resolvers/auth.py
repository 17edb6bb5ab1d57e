"""Sign-up, sign-in, sessions."""

from collections.abc import Sequence

import strawberry

from core.database import transaction
from core.ids import parse_id
from domain import auth, sessions
from domain.permissions import Permission
from domain.sessions import SignedIn
from models.sessions import UserSession as UserSessionRow
from schema.auth import (
    RefreshSessionInput,
    RevokeSessionInput,
    RevokeSessionPayload,
    SignInInput,
    SignUpInput,
    TokensPayload,
    UserSession,
)
from schema.context import Info
from schema.mutations import mutation
from schema.permissions import requires


@strawberry.type
class Query:
    """Read one's own sessions."""

    @strawberry.field(
        description="Your live sessions, newest first: five at most.",
        graphql_type=list[UserSession] | None,
        extensions=requires(Permission.OWN_ACCOUNT),
    )
    async def sessions(self, info: Info) -> Sequence[UserSessionRow]:
        """The asker's sessions."""
        async with transaction() as session:
            return await sessions.listed(session, info.context.asker().person())


@strawberry.type
class Mutation:
    """Begin and end sessions."""

    @mutation(None, TokensPayload, "Create an app and its owner, signed in. May be closed by configuration.")
    async def sign_up(self, info: Info, input: SignUpInput) -> SignedIn:
        """Create an app."""
        return await auth.sign_up(
            info.context.caller,
            app_name=input.app_name,
            name=input.name,
            email=input.email,
            password=input.password,
        )

    @mutation(None, TokensPayload, "Sign in. A sixth session ends the oldest.")
    async def sign_in(self, info: Info, input: SignInInput) -> SignedIn:
        """Begin a session."""
        return await auth.sign_in(info.context.caller, email=input.email, password=input.password)

    @mutation(None, TokensPayload, "Buy the next pair of tokens with a refresh token, which is used up.")
    async def refresh_session(self, input: RefreshSessionInput) -> SignedIn:
        """Renew a session's tokens."""
        async with transaction() as session:
            return await sessions.refresh(session, input.refresh_token)

    @mutation(Permission.OWN_ACCOUNT, RevokeSessionPayload, "End one of your sessions; its sockets close.")
    async def revoke_session(self, info: Info, input: RevokeSessionInput) -> UserSessionRow:
        """End a session."""
        async with transaction() as session:
            return await sessions.revoke(session, info.context.asker(), parse_id(input.id))

    @mutation(Permission.OWN_ACCOUNT, RevokeSessionPayload, "End the session that this request came with.")
    async def sign_out(self, info: Info) -> UserSessionRow:
        """End the asker's session."""
        asker = info.context.asker()
        async with transaction() as session:
            return await sessions.revoke(session, asker, parse_id(asker.session_id))
