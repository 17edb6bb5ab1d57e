"""The second factor of a person, and whether an app requires one."""

from datetime import datetime

import strawberry

from domain.two_factors.standing import Standing
from schema.auth import App, UserSession
from schema.mutations import Payload
from schema.views import plain, view


@view(Standing, description="How a person stands with their second factor, in the app they are signed in to.")
class TwoFactor:
    """A person's second factor."""

    is_confirmed: bool = plain("Whether there is one that counts: signIn asks for it then.")
    confirmed_at: datetime | None = plain("Since when.")
    backup_codes_left: int = plain("How many backup codes can still be used, 0 to 10.")
    is_required: bool = plain(
        "Whether the app requires one of this person; until there is one all else answers TWO_FACTOR_REQUIRED."
    )


@strawberry.type(description="What an authenticator app takes in. Shown this once; it counts after confirmTwoFactor.")
class SetUpTwoFactorPayload(Payload):
    """A secret to take in."""

    secret: str | None = plain("To type in by hand: 160 bits in base 32.")
    uri: str | None = plain("The same as an otpauth URI: six digits, SHA-1, every 30 seconds.")
    qr_svg: str | None = plain("The URI as a QR code to scan: an SVG image as a data URI, to be the `src` of an `img`.")


@strawberry.type(description="Backup codes, shown this once. Each stands in for a code of the authenticator app, once.")
class BackupCodesPayload(Payload):
    """A new set of backup codes."""

    backup_codes: list[str] | None = plain("Ten codes like `4K7Q-M2XA-9RTB`, to write down. Older ones are dead.")
    two_factor: TwoFactor | None = plain("How the person stands now.")


@strawberry.type(description="The first backup codes, shown this once, and tokens to go on with.")
class ConfirmTwoFactorPayload(BackupCodesPayload):
    """A second factor that counts."""

    access_token: str | None = plain("Go on with it; the one you asked with is dead. Good until `expiresAt`.")
    refresh_token: str | None = plain("Buys the next pair of tokens once, by refreshSession. Keep it secret.")
    expires_at: datetime | None = plain("When the access token ends.")
    session: UserSession | None = plain("The session that goes on.")


@strawberry.type(description="How the person stands without.")
class DisableTwoFactorPayload(Payload):
    """No second factor any more."""

    two_factor: TwoFactor | None = plain("How the person stands now.")


@strawberry.type(description="The app whose rule was changed.")
class UpdateAppSecurityPayload(Payload):
    """The app."""

    app: App | None = plain("The app.")


@strawberry.input(description="Proof that it is you who sets a second factor up.")
class SetUpTwoFactorInput:
    """The password again."""

    password: str = plain("Your password.")


@strawberry.input(description="Proof that the authenticator app has taken the secret in.")
class ConfirmTwoFactorInput:
    """A first code."""

    code: str = plain("The six digits that it shows.")


@strawberry.input(description="Proof that it is you who disables the second factor.")
class DisableTwoFactorInput:
    """Password and code."""

    password: str = plain("Your password.")
    code: str = plain("Six digits of the authenticator app, or a backup code.")


@strawberry.input(description="Proof that it is you who wants new backup codes.")
class RenewBackupCodesInput:
    """Password and code."""

    password: str = plain("Your password.")
    code: str = plain("Six digits of the authenticator app, or a backup code of the old set.")


@strawberry.input(description="What the app asks of its team.")
class UpdateAppSecurityInput:
    """The app's rule."""

    requires_two_factor: bool = plain(
        "Whether owners and admins must have a second factor. It counts at once, also for who is signed in."
    )
