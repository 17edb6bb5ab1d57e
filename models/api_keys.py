"""Keys by which programs of a team sign in."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import SECRET, Record, app_key


class ApiKeyMode(StrEnum):
    """What a key is for; it stands in the key itself."""

    LIVE = "LIVE"
    TEST = "TEST"


class ApiKey(Record):
    """A key of an app. Only the SHA-256 of it is kept.

    Attributes:
        prefix: the part of the key that may be shown, e.g. `rk_live_4mZQ81kd`.
        scopes: the permissions it has, by name.
        replaced_by_id: the key that took its place; this one lives on until `expires_at`.
    """

    __tablename__ = "api_keys"
    __table_args__ = (sa.Index("ix_api_keys_app_id_id", "app_id", "id"),)

    app_id: Mapped[UUID] = app_key()
    name: Mapped[str]
    mode: Mapped[ApiKeyMode]
    prefix: Mapped[str]
    secret_hash: Mapped[str] = mapped_column(unique=True, info=SECRET)
    scopes: Mapped[list[str]]
    created_by_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("admin_users.id", ondelete="SET NULL"))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    replaced_by_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("api_keys.id", ondelete="SET NULL"))
