"""Second factors to test with, as a person who has gone through setting one up has them."""

import pyotp
import sqlalchemy as sa

from core.clock import now
from core.database import transaction
from core.encryption import decrypt, encrypt
from domain.two_factors import proof
from models.sessions import UserSession
from models.two_factors import TwoFactor
from tests.support.factories import Team


async def confirmed(team: Team) -> pyotp.TOTP:
    """The authenticator app of the person, confirmed; their sessions go on as ones that have proven it."""
    totp, user_id = pyotp.TOTP(pyotp.random_base32()), team.user_id
    closed = encrypt(totp.secret, proof.place(user_id))
    own = sa.update(UserSession).where(UserSession.user_id == user_id)
    async with transaction() as session:
        await session.merge(TwoFactor(user_id=user_id, secret=closed, confirmed_at=now(), last_step=0))
        await session.execute(own.values(second_factor_at=now()))
    return totp


async def known(team: Team) -> pyotp.TOTP | None:
    """The authenticator app that the person has, confirmed or not."""
    async with transaction() as session:
        row = await session.get(TwoFactor, team.user_id)
    return pyotp.TOTP(decrypt(row.secret, proof.place(team.user_id))) if row else None
