"""Asked-for resets of forgotten passwords."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.clock import now
from models.base import SECRET, Model


class PasswordReset(Model):
    """The one reset that a person may use; a newer one takes its place. Only the hash of its token is kept."""

    __tablename__ = "password_resets"

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("admin_users.id", ondelete="CASCADE"), primary_key=True)
    token_hash: Mapped[str] = mapped_column(unique=True, info=SECRET)
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(default=now, server_default=sa.func.now())
