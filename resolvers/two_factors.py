"""The second factor: set up, confirmed, disabled, required."""

import strawberry

from core.database import transaction
from domain.features import Feature
from domain.permissions import Permission
from domain.two_factors import control, standing
from domain.two_factors.control import Codes, Confirmed, SetUp
from domain.two_factors.standing import Standing
from models.apps import App as AppRow
from schema.context import Info
from schema.mutations import mutation
from schema.permissions import requires
from schema.two_factors import (
    BackupCodesPayload,
    ConfirmTwoFactorInput,
    ConfirmTwoFactorPayload,
    DisableTwoFactorInput,
    DisableTwoFactorPayload,
    RenewBackupCodesInput,
    SetUpTwoFactorInput,
    SetUpTwoFactorPayload,
    TwoFactor,
    UpdateAppSecurityInput,
    UpdateAppSecurityPayload,
)

FEATURE = Feature.TWO_FACTOR_AUTH


@strawberry.type
class Query:
    """Read how one stands."""

    @strawberry.field(
        description="Your second factor, and whether the app requires one of you.",
        graphql_type=TwoFactor | None,
        extensions=requires(Permission.OWN_ACCOUNT),
    )
    async def two_factor(self, info: Info) -> Standing:
        """How the asker stands."""
        async with transaction(across_apps=True) as session:
            return await standing.standing(session, info.context.asker())


@strawberry.type
class Mutation:
    """Set up, confirm, disable, require. The rules open their own transactions where they hash in between."""

    @mutation(
        Permission.OWN_ACCOUNT,
        SetUpTwoFactorPayload,
        "Begin to set up a second factor: a secret for an authenticator app. It counts after confirmTwoFactor.",
        feature=FEATURE,
    )
    async def set_up_two_factor(self, info: Info, input: SetUpTwoFactorInput) -> SetUp:
        """Make a secret."""
        return await control.set_up(info.context.asker(), input.password)

    @mutation(
        Permission.OWN_ACCOUNT,
        ConfirmTwoFactorPayload,
        "Let the second factor count. All your sessions end; go on with the tokens that come back.",
        feature=FEATURE,
    )
    async def confirm_two_factor(self, info: Info, input: ConfirmTwoFactorInput) -> Confirmed:
        """Take the first code."""
        return await control.confirm(info.context.asker(), input.code)

    @mutation(
        Permission.OWN_ACCOUNT,
        DisableTwoFactorPayload,
        "Do without the second factor; your other sessions end. Where the app requires one, set up another at once.",
    )
    async def disable_two_factor(self, info: Info, input: DisableTwoFactorInput) -> Standing:
        """Remove it."""
        return await control.disable(info.context.asker(), input.password, input.code)

    @mutation(Permission.OWN_ACCOUNT, BackupCodesPayload, "Ten new backup codes; the old ones die.")
    async def renew_backup_codes(self, info: Info, input: RenewBackupCodesInput) -> Codes:
        """Replace the set."""
        return await control.renew_codes(info.context.asker(), input.password, input.code)

    @mutation(
        Permission.MANAGE_SETTINGS,
        UpdateAppSecurityPayload,
        "Say whether owners and admins of the app must have a second factor. Who asks for it must have one.",
        feature=FEATURE,
    )
    async def update_app_security(self, info: Info, input: UpdateAppSecurityInput) -> AppRow:
        """Change the app's rule."""
        async with transaction() as session:
            return await standing.require(session, info.context.asker(), required=input.requires_two_factor)
