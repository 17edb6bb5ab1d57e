"""Backup codes: ten that a person writes down, each good once, for the day the authenticator app is lost.

`4K7Q-M2XA-9RTB`: the slot's digit, then 55 random bits in Crockford's base 32. That is too little for a fast hash, so
they are kept as passwords are; by the slot one hash is enough to look at one code.
"""

import asyncio
import re
import secrets
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.database import transaction
from core.security import hash_password, verify_password
from models.two_factors import BackupCode

COUNT = 10
RANDOM_CHARS = 11
GROUP = 4
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE = re.compile(f"[0-9][{ALPHABET}]{{{RANDOM_CHARS}}}")
# How it may be typed: with or without hyphens and blanks, in small letters, with O for 0, I and L for 1.
_TYPED = str.maketrans("OIL", "011", "- ")


@dataclass(frozen=True)
class NewSet:
    """Ten codes as they are shown this once, and their hashes by slot."""

    shown: list[str]
    hashes: list[str]


async def new_set() -> NewSet:
    """Ten fresh codes. Hashing takes half a second: to be called with no transaction open."""
    codes = [f"{slot}{''.join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARS))}" for slot in range(COUNT)]
    return NewSet([_grouped(code) for code in codes], await asyncio.gather(*map(hash_password, codes)))


def _grouped(code: str) -> str:
    return "-".join(code[start : start + GROUP] for start in range(0, len(code), GROUP))


def parse(text: str) -> str | None:
    """The code in `text` without what it is grouped by; None when it has not the form of one."""
    code = text.strip().upper().translate(_TYPED)
    return code if _CODE.fullmatch(code) else None


async def match(user_id: UUID, code: str) -> BackupCode | None:
    """The unused code of the person that `code`, as `parse` gives it, is. No transaction is open while it is hashed."""
    unused = sa.select(BackupCode).where(BackupCode.user_id == user_id, BackupCode.used_at.is_(None))
    async with transaction(across_apps=True) as session:
        row = await session.scalar(unused.where(BackupCode.slot == int(code[0])))
    return row if await verify_password(code, row.code_hash if row else None) else None


async def use(session: AsyncSession, matched: BackupCode) -> bool:
    """Use up what `match` gave; False when somebody was quicker, or it belongs to a set that is gone."""
    same = (BackupCode.user_id == matched.user_id, BackupCode.slot == matched.slot)
    unused = (BackupCode.code_hash == matched.code_hash, BackupCode.used_at.is_(None))
    used = sa.update(BackupCode).where(*same, *unused).values(used_at=now()).returning(BackupCode.slot)
    return await session.scalar(used.execution_options(synchronize_session=False)) is not None


async def left(session: AsyncSession, user_id: UUID) -> int:
    """How many codes of a person can still be used."""
    unused = sa.select(sa.func.count()).where(BackupCode.user_id == user_id, BackupCode.used_at.is_(None))
    return await session.scalar(unused) or 0


async def replace(session: AsyncSession, user_id: UUID, hashes: list[str]) -> None:
    """Put a new set in the place of the old one, which dies. The caller holds the lock of the second factor."""
    await remove(session, user_id)
    session.add_all(BackupCode(user_id=user_id, slot=slot, code_hash=one) for slot, one in enumerate(hashes))


async def remove(session: AsyncSession, user_id: UUID) -> None:
    """Delete all codes of a person."""
    await session.execute(sa.delete(BackupCode).where(BackupCode.user_id == user_id))
