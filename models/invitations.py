"""Invitations into a team."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import SECRET, Record, app_key
from models.team import Role


class Invitation(Record):
    """An invitation of an e-mail address to a role. Only the hash of its token is kept.

    It is open until it is accepted, revoked, or `expires_at` has passed.
    """

    __tablename__ = "invitations"
    __table_args__ = (
        sa.Index("ix_invitations_app_id_id", "app_id", "id"),
        sa.Index(
            "uq_invitations_open",
            "app_id",
            "email",
            unique=True,
            postgresql_where=sa.text("accepted_at IS NULL AND revoked_at IS NULL"),
        ),
    )

    app_id: Mapped[UUID] = app_key()
    email: Mapped[str]
    role: Mapped[Role]
    token_hash: Mapped[str] = mapped_column(unique=True, info=SECRET)
    invited_by_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("admin_users.id", ondelete="SET NULL"))
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
