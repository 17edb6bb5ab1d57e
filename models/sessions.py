"""Sign-ins that are alive or have ended."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import SECRET, Record, app_key


class UserSession(Record):
    """One sign-in of a person into an app.

    Only the hash of its refresh token is kept. It lives until `expires_at`, until it idles, or until it is revoked.

    Attributes:
        previous_hash: hash of the refresh token that was used last; who brings it again is late, or a thief.
        renewed_at: when that one was used.
        second_factor_at: when the second factor was proven; None when there was none to prove.
    """

    __tablename__ = "user_sessions"
    __table_args__ = (
        sa.Index("ix_user_sessions_live", "user_id", postgresql_where=sa.text("revoked_at IS NULL")),
        sa.Index("ix_user_sessions_previous_hash", "previous_hash"),
        sa.Index("ix_user_sessions_ended", sa.text("LEAST(revoked_at, expires_at)")),
    )

    app_id: Mapped[UUID] = app_key()
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("admin_users.id", ondelete="CASCADE"))
    refresh_hash: Mapped[str] = mapped_column(unique=True, info=SECRET)
    previous_hash: Mapped[str | None] = mapped_column(info=SECRET)
    renewed_at: Mapped[datetime | None]
    second_factor_at: Mapped[datetime | None]
    ip: Mapped[str]
    user_agent: Mapped[str]
    last_active_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
