"""Sign-ins that are alive or have ended."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Record, app_key


class UserSession(Record):
    """One sign-in of a person into an app.

    Only the hash of its refresh token is kept. It lives until `expires_at`, until it idles, or until it is revoked.
    """

    __tablename__ = "user_sessions"
    __table_args__ = (
        sa.Index("ix_user_sessions_live", "user_id", postgresql_where=sa.text("revoked_at IS NULL")),
        sa.Index("ix_user_sessions_ended", sa.text("LEAST(revoked_at, expires_at)")),
    )

    app_id: Mapped[UUID] = app_key()
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("admin_users.id", ondelete="CASCADE"))
    refresh_hash: Mapped[str] = mapped_column(unique=True)
    ip: Mapped[str]
    user_agent: Mapped[str]
    last_active_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
