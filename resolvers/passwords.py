"""Change a password, reset a forgotten one."""

import strawberry

from domain import password_resets, passwords
from domain.permissions import Permission
from domain.sessions import SignedIn
from schema.auth import TokensPayload
from schema.context import Info
from schema.mutations import mutation
from schema.passwords import (
    ChangePasswordInput,
    RequestPasswordResetInput,
    RequestPasswordResetPayload,
    ResetPasswordInput,
    ResetPasswordPayload,
)


@strawberry.type
class Mutation:
    """Change and reset passwords."""

    @mutation(
        Permission.OWN_ACCOUNT,
        TokensPayload,
        "Change your password. All your sessions end; go on with the tokens that come back.",
    )
    async def change_password(self, info: Info, input: ChangePasswordInput) -> SignedIn:
        """Change the asker's password."""
        asker = info.context.asker()
        return await passwords.change(asker, current=input.current_password, new=input.new_password)

    @mutation(
        None,
        RequestPasswordResetPayload,
        "Have a link to reset a forgotten password mailed. The answer does not tell whether there is such an account.",
    )
    async def request_password_reset(self, info: Info, input: RequestPasswordResetInput) -> None:
        """Mail a link."""
        await password_resets.request(info.context.caller, input.email)

    @mutation(
        None,
        ResetPasswordPayload,
        "Give an account a new password by the link that was mailed. All its sessions end; sign in anew, with the "
        "second factor where there is one.",
    )
    async def reset_password(self, info: Info, input: ResetPasswordInput) -> None:
        """Use a link."""
        await password_resets.reset(info.context.caller, token=input.token, new=input.new_password)
