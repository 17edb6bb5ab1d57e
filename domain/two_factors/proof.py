"""Codes that prove a second factor: those of an authenticator app (RFC 6238), and backup codes.

SHA-1, six digits, 30 seconds, as every authenticator app has them. The step before and the one after the present are
taken too, for clocks that differ: so a code is good for 90 seconds at most, and once.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import pyotp
import sqlalchemy as sa
from pyotp.exceptions import OTPVerificationError
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.encryption import decrypt
from domain import mails
from domain.audit import entries
from domain.principals import Author
from domain.two_factors import backup_codes
from models.team import AdminUser
from models.two_factors import BackupCode, TwoFactor

WINDOW = 1
WARN_AT = 2
TYPED_CHARS = 40
_SIX_DIGITS = re.compile("[0-9]{6}")
_GROUPING = re.compile(r"[\s-]")


@dataclass(frozen=True)
class Given:
    """A code as somebody gave it.

    Attributes:
        user_id: whose second factor it is to prove.
        at: when.
        digits: the six digits of an authenticator app; empty when it is none of those.
        backup_code: the backup code that it is.
    """

    user_id: UUID
    at: datetime
    digits: str = ""
    backup_code: BackupCode | None = None


async def read(user_id: UUID, text: str) -> Given:
    """A code that a person gives; what it is worth shows when it is used. No transaction is open while one is hashed.

    Args:
        user_id: whose second factor it is to prove.
        text: six digits or a backup code; blanks and hyphens do not matter.
    """
    at, typed = now(), text[:TYPED_CHARS]
    if _SIX_DIGITS.fullmatch(digits := _GROUPING.sub("", typed)):
        return Given(user_id, at, digits)
    code = backup_codes.parse(typed)
    return Given(user_id, at, backup_code=await backup_codes.match(user_id, code) if code else None)


async def use(session: AsyncSession, given: Given, author: Author, app_id: UUID) -> bool:
    """Whether a code proves the person's confirmed second factor. It is used up: who comes with it again fails.

    A backup code is told to the person by mail, with a warning when few are left.

    Args:
        session: the transaction of what the code is given for.
        given: as `read` gives it.
        author: who gives it.
        app_id: the app they are in, or on the way into.
    """
    row = await locked(session, given.user_id)
    if row is None or row.confirmed_at is None:
        return False
    if given.backup_code is None:
        return take_step(row, given)
    if not await backup_codes.use(session, given.backup_code):
        return False
    await _tell(session, given.user_id, author, app_id)
    return True


async def locked(session: AsyncSession, user_id: UUID) -> TwoFactor | None:
    """The second factor of a person, confirmed or not, until the end of the transaction nobody else's."""
    own = sa.select(TwoFactor).where(TwoFactor.user_id == user_id)
    return await session.scalar(own.with_for_update(key_share=True))


def take_step(row: TwoFactor, given: Given) -> bool:
    """Whether the digits belong to a time step newer than all that were used; it is used then. `row` is locked."""
    step = _newer_step(row, given)
    if step is not None:
        row.last_step = step
    return step is not None


def fits(row: TwoFactor, given: Given) -> bool:
    """Whether `take_step` would take the digits; nothing is used."""
    return _newer_step(row, given) is not None


def _newer_step(row: TwoFactor, given: Given) -> int | None:
    step = _step(row, given)
    return step if step is not None and step > row.last_step else None


def _step(row: TwoFactor, given: Given) -> int | None:
    """The time step, at most one from the present, that the digits belong to."""
    totp = pyotp.TOTP(decrypt(row.secret, place(row.user_id)))
    try:
        return totp.verify_and_get_timecode(given.digits, for_time=given.at, valid_window=WINDOW)
    except OTPVerificationError:
        return None


def place(user_id: UUID) -> str:
    """Where the secret of a person is kept, as `core.encryption` names places."""
    return f"two_factors.secret:{user_id}"


async def _tell(session: AsyncSession, user_id: UUID, author: Author, app_id: UUID) -> None:
    """Enter the use of a backup code in the audit log, and mail the person."""
    left = await backup_codes.left(session, user_id)
    change = ({"backup_codes_left": left + 1}, {"backup_codes_left": left})
    action = "two_factor.backup_code_used"
    entries.enter(session, author, action, app_id=app_id, entity="TwoFactor", entity_id=user_id, change=change)
    warning = "\nThese are few: renew them while you can." if left <= WARN_AT else ""
    told = f"A backup code of your account was used just now. You have {left} left.{warning}"
    await mail(session, user_id, "A backup code was used", told)


async def mail(session: AsyncSession, user_id: UUID, subject: str, told: str) -> None:
    """Tell a person by mail what happened to their second factor."""
    to = (await session.scalars(sa.select(AdminUser.email).where(AdminUser.id == user_id))).one()
    unless = "If it was not you, change your password and tell an owner of your app."
    mails.queue(session, to=to, subject=f"ReplyHQ: {subject}", body=f"{told}\n\n{unless}\n")
