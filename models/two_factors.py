"""The second factor of a person: an authenticator app, and codes for when it is lost."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.clock import now
from models.base import ENCRYPTED, SECRET, Model


def _person() -> Mapped[UUID]:
    return mapped_column(sa.ForeignKey("admin_users.id", ondelete="CASCADE"), primary_key=True)


class TwoFactor(Model):
    """A person's authenticator app (RFC 6238). It counts once it is confirmed by a code.

    `last_step` is the newest time step whose code was used; that one and older ones are refused.
    """

    __tablename__ = "two_factors"

    user_id: Mapped[UUID] = _person()
    secret: Mapped[str] = mapped_column(info=ENCRYPTED)
    confirmed_at: Mapped[datetime | None]
    last_step: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(default=now, server_default=sa.func.now())


class BackupCode(Model):
    """One of a person's single-use codes. Its first character tells the slot, so that one hash is looked at."""

    __tablename__ = "backup_codes"

    user_id: Mapped[UUID] = _person()
    slot: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    code_hash: Mapped[str] = mapped_column(info=SECRET)
    used_at: Mapped[datetime | None]
