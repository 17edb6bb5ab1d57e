"""The people of a team, and the role each has in an app."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import SECRET, Record, app_key


class Role(StrEnum):
    """What a person is within an app; the rights of each stand in domain/permissions.py."""

    OWNER = "OWNER"
    ADMIN = "ADMIN"
    AGENT = "AGENT"


class AdminUser(Record):
    """A person who signs in. The e-mail is lower-cased."""

    __tablename__ = "admin_users"

    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    password_hash: Mapped[str] = mapped_column(info=SECRET)


class Membership(Record):
    """A person's place in an app.

    Attributes:
        capacity: how many open conversations they are given at most; None: as the app says.
        is_away: whether they want none at present.
        last_assigned_at: when they got a conversation last.
        absent_since: since when they have been found without a connection; None when they have one, or nobody knows.
    """

    __tablename__ = "memberships"
    __table_args__ = (sa.UniqueConstraint("app_id", "user_id"),)

    app_id: Mapped[UUID] = app_key()
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("admin_users.id", ondelete="CASCADE"), index=True)
    role: Mapped[Role]
    capacity: Mapped[int | None]
    is_away: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    last_assigned_at: Mapped[datetime | None]
    absent_since: Mapped[datetime | None]
