"""Setting a second factor up, disabling it, renewing its backup codes. Each has its own transactions.

None is open while something is hashed.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import pyotp
import segno
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.database import transaction
from core.encryption import encrypt
from core.errors import Conflict, Invalid
from domain import apps, proofs, sessions, tries
from domain.audit import entries
from domain.audit.entries import Change
from domain.principals import Principal
from domain.two_factors import backup_codes, proof
from domain.two_factors.backup_codes import NewSet
from domain.two_factors.proof import Given
from domain.two_factors.standing import Standing, confirmed_at, standing
from models.facts import FactKind
from models.sessions import UserSession
from models.team import AdminUser
from models.two_factors import TwoFactor

ISSUER = "ReplyHQ"
NAME_CHARS = 30
"""Of the app's name in the QR code, which holds no more than 2,900 bytes."""
NOT_SET_UP = "There is no second factor. Begin with setUpTwoFactor."
IS_SET_UP = "A second factor is set up already. To have another, disable it first with disableTwoFactor."


@dataclass(frozen=True)
class SetUp:
    """What an authenticator app takes in, by camera or by hand; shown this once.

    Attributes:
        secret: 160 bits in base 32.
        uri: the same as `otpauth://totp/…`.
        qr_svg: the URI as a QR code: an SVG image, as a data URI.
    """

    secret: str
    uri: str
    qr_svg: str


@dataclass(frozen=True)
class Codes:
    """A new set of backup codes, shown this once, and how the person stands with it."""

    backup_codes: list[str]
    two_factor: Standing


@dataclass(frozen=True)
class Confirmed:
    """The first set of backup codes, how the person stands, and the session that goes on in the asker's place.

    Attributes:
        access_token, refresh_token, expires_at, session: as `domain.sessions.SignedIn` has them.
    """

    backup_codes: list[str]
    two_factor: Standing
    access_token: str
    refresh_token: str
    expires_at: datetime
    session: UserSession


async def set_up(principal: Principal, password: str) -> SetUp:
    """A new secret, which counts once a code of it comes back. It replaces one that was never confirmed.

    Raises:
        Conflict: there is a confirmed one.
        Invalid: the password is wrong.
        RateLimited: too many tries.
    """
    user = await tries.password_again(principal, password)
    secret = pyotp.random_base32()
    async with transaction(across_apps=True) as session:
        app = await apps.get(session, principal.app_id)
        await _keep_secret(session, principal, encrypt(secret, proof.place(user.id)))
    await tries.forgive(user.email, principal.caller.ip)
    uri = pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=f"{ISSUER} {app.name[:NAME_CHARS]}")
    return SetUp(secret, uri, segno.make_qr(uri).svg_data_uri(scale=4))


async def _keep_secret(session: AsyncSession, principal: Principal, closed: str) -> None:
    """Keep a secret. Those who come at the same time wait for each other at the person, as there may be no row yet."""
    user_id = principal.person()
    await session.execute(sa.select(AdminUser.id).where(AdminUser.id == user_id).with_for_update(key_share=True))
    row = await proof.locked(session, user_id)
    if row and row.confirmed_at:
        raise Conflict(IS_SET_UP)
    if row is None:
        row = TwoFactor(user_id=user_id)
        session.add(row)
    row.secret = closed
    _enter(session, principal, "two_factor.set_up", entries.change_of(session, row))


async def confirm(principal: Principal, code: str) -> Confirmed:
    """Let the second factor that was set up count, as a code of it has come back.

    All the person's sessions end. They get one that has proven it in the place of the one they ask with: what was known
    of a session that could do less is worth nothing after.

    Raises:
        Conflict: none was set up, or it is confirmed.
        Invalid: the code is wrong.
        RateLimited: too many tries.
        Unauthenticated: the session has ended meanwhile.
    """
    user = await tries.person(principal)
    await tries.count_code(user.email, principal.caller.ip)
    given = await proof.read(user.id, code)
    if not await _fits(user.id, given):
        raise await _refusal(principal)
    fresh = await backup_codes.new_set()
    async with transaction(across_apps=True) as session:
        row = _unconfirmed(await proof.locked(session, user.id))
        if right := proof.take_step(row, given):
            confirmed = await _confirm(session, principal, row, fresh)
    if not right:
        raise await _refusal(principal)
    await tries.forgive_codes(user.email, principal.caller.ip)
    return confirmed


async def _fits(user_id: UUID, given: Given) -> bool:
    """Whether a code is worth hashing ten backup codes for. It is looked at again when it is used."""
    async with transaction(across_apps=True) as session:
        return proof.fits(_unconfirmed(await proof.locked(session, user_id)), given)


def _unconfirmed(row: TwoFactor | None) -> TwoFactor:
    if row is None:
        raise Conflict(NOT_SET_UP)
    if row.confirmed_at:
        raise Conflict(IS_SET_UP)
    return row


async def _confirm(session: AsyncSession, principal: Principal, row: TwoFactor, fresh: NewSet) -> Confirmed:
    row.confirmed_at = now()
    _enter(session, principal, "two_factor.confirmed", entries.change_of(session, row))
    await backup_codes.replace(session, row.user_id, fresh.hashes)
    new = await sessions.replace(session, principal, FactKind.SESSION_STARTED, second_factor_at=now())
    await sessions.end_all(session, principal.author, row.user_id, but=new.session.id)
    await proof.mail(session, row.user_id, "second factor set up", "Your account has a second factor from now on.")
    stands = await standing(session, principal)
    return Confirmed(fresh.shown, stands, new.access_token, new.refresh_token, new.expires_at, new.session)


async def disable(principal: Principal, password: str, code: str) -> Standing:
    """Do without the second factor and its backup codes; the person's other sessions end.

    Where the app requires one the person must set up another.

    Raises:
        Conflict: there is none.
        Invalid: password or code is wrong.
        RateLimited: too many tries.
    """
    user, given = await _password_and_code(principal, password, code)
    async with transaction(across_apps=True) as session:
        if right := await proof.use(session, given, principal.author, principal.app_id):
            await _remove(session, principal)
            stands = await standing(session, principal)
    if not right:
        raise await _refusal(principal)
    await tries.forgive_codes(user.email, principal.caller.ip)
    return stands


async def _remove(session: AsyncSession, principal: Principal) -> None:
    own = sa.select(TwoFactor).where(TwoFactor.user_id == principal.person())
    row = (await session.scalars(own)).one()
    await session.delete(row)
    proofs.outdated(session)
    await sessions.end_all(session, principal.author, row.user_id, but=principal.session_id)
    _enter(session, principal, "two_factor.disabled", entries.change_of(session, row))
    await backup_codes.remove(session, row.user_id)
    await proof.mail(session, row.user_id, "second factor disabled", "Your account has no second factor any more.")


async def renew_codes(principal: Principal, password: str, code: str) -> Codes:
    """A new set of backup codes in the place of the old one, which dies.

    Raises:
        Conflict: there is no second factor.
        Invalid: password or code is wrong.
        RateLimited: too many tries.
    """
    user, given = await _password_and_code(principal, password, code)
    fresh = await backup_codes.new_set()
    async with transaction(across_apps=True) as session:
        if right := await proof.use(session, given, principal.author, principal.app_id):
            await backup_codes.replace(session, user.id, fresh.hashes)
            _enter(session, principal, "two_factor.codes_renewed")
            codes = Codes(fresh.shown, await standing(session, principal))
    if not right:
        raise await _refusal(principal)
    await tries.forgive_codes(user.email, principal.caller.ip)
    return codes


async def _password_and_code(principal: Principal, password: str, code: str) -> tuple[AdminUser, Given]:
    """The person, whose password was right, and the code that they gave."""
    user = await tries.password_again(principal, password)
    async with transaction(across_apps=True) as session:
        if await confirmed_at(session, user.id) is None:
            raise Conflict(NOT_SET_UP)
    await tries.count_code(user.email, principal.caller.ip)
    return user, await proof.read(user.id, code)


async def _refusal(principal: Principal) -> Invalid:
    """The answer to a code that is not taken, entered in the audit log."""
    app_id, user_id = principal.app_id, principal.person()
    await tries.note_failure(principal.author, "two_factor.refused", "code", app_id=app_id, user_id=user_id)
    return Invalid("The code is wrong or was used before. Take the next one, or a backup code.", field="code")


def _enter(session: AsyncSession, principal: Principal, action: str, change: Change = (None, None)) -> None:
    entries.enter(
        session,
        principal.author,
        action,
        app_id=principal.app_id,
        entity="TwoFactor",
        entity_id=principal.person(),
        change=change,
    )
