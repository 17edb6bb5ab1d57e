"""Sign-up, sign-in, sessions."""

from collections.abc import Sequence

import strawberry

from core.database import transaction
from core.ids import parse_id
from domain import sessions, sign_ins
from domain.permissions import Permission
from domain.sessions import SignedIn
from domain.sign_ins import Challenged
from models.sessions import UserSession as UserSessionRow
from schema.auth import (
    ConfirmSignInInput,
    RefreshSessionInput,
    RevokeOtherSessionsPayload,
    RevokeSessionInput,
    RevokeSessionPayload,
    SignInInput,
    SignUpInput,
    SwitchAppInput,
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
        async with transaction(across_apps=True) as session:
            return await sessions.listed(session, info.context.asker().person())


@strawberry.type
class Mutation:
    """Begin and end sessions."""

    @mutation(None, TokensPayload, "Create an app and its owner, signed in. May be closed by configuration.")
    async def sign_up(self, info: Info, input: SignUpInput) -> SignedIn:
        """Create an app."""
        return await sign_ins.sign_up(
            info.context.caller,
            app_name=input.app_name,
            name=input.name,
            email=input.email,
            password=input.password,
        )

    @mutation(
        None,
        TokensPayload,
        "Sign in, to the app used last. A sixth session ends the oldest. Who has a second factor gets no tokens yet, "
        "but a `challenge`.",
    )
    async def sign_in(self, info: Info, input: SignInInput) -> SignedIn | Challenged:
        """Begin a session."""
        return await sign_ins.sign_in(info.context.caller, email=input.email, password=input.password)

    @mutation(None, TokensPayload, "The second step of a sign-in that answered a `challenge`: prove the second factor.")
    async def confirm_sign_in(self, info: Info, input: ConfirmSignInInput) -> SignedIn:
        """Begin a session."""
        return await sign_ins.confirm(info.context.caller, challenge=input.challenge, code=input.code)

    @mutation(
        None,
        TokensPayload,
        "Buy the next pair of tokens with a refresh token, which is used up: when it comes again, later than ten "
        "seconds after, the session ends.",
    )
    async def refresh_session(self, info: Info, input: RefreshSessionInput) -> SignedIn:
        """Renew a session's tokens."""
        return await sessions.refresh(info.context.caller, input.refresh_token)

    @mutation(Permission.OWN_ACCOUNT, RevokeSessionPayload, "End one of your sessions; its sockets close.")
    async def revoke_session(self, info: Info, input: RevokeSessionInput) -> UserSessionRow:
        """End a session."""
        async with transaction(across_apps=True) as session:
            return await sessions.revoke(session, info.context.asker(), parse_id(input.id))

    @mutation(Permission.OWN_ACCOUNT, RevokeOtherSessionsPayload, "End your sessions but the one you ask with.")
    async def revoke_other_sessions(self, info: Info) -> Sequence[UserSessionRow]:
        """End the asker's other sessions."""
        asker = info.context.asker()
        async with transaction(across_apps=True) as session:
            return await sessions.end_all(session, asker.author, asker.person(), but=asker.session_id)

    @mutation(
        Permission.OWN_ACCOUNT,
        TokensPayload,
        "Go on in another app that you belong to, with the tokens that come back. The session you ask with ends.",
    )
    async def switch_app(self, info: Info, input: SwitchAppInput) -> SignedIn:
        """Move the asker's session."""
        async with transaction(across_apps=True) as session:
            return await sessions.switch(session, info.context.asker(), parse_id(input.app_id, "appId"))

    @mutation(Permission.OWN_ACCOUNT, RevokeSessionPayload, "End the session that this request came with.")
    async def sign_out(self, info: Info) -> UserSessionRow:
        """End the asker's session."""
        asker = info.context.asker()
        async with transaction(across_apps=True) as session:
            return await sessions.revoke(session, asker, parse_id(asker.session_id))
