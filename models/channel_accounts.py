"""Accounts of an app at the providers that its messages go through."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.clock import now
from models.base import ENCRYPTED, Record, app_key


class ChannelProvider(StrEnum):
    """Whose account it is."""

    FCM = "FCM"
    APNS = "APNS"
    WEB_PUSH = "WEB_PUSH"
    SMTP = "SMTP"


class ChannelAccount(Record):
    """An account of an app, one at each provider.

    Attributes:
        settings: what may be shown, e.g. `{"project_id": "acme"}`; the names of the adapter's account.
        credentials: the rest, an object as JSON, encrypted.
        fingerprint: SHA-256 of the public half of its key, in hexadecimal; NULL where it has a password.
        rate_per_second: most messages a second; NULL is no limit of our own.
        updated_at: when it was last set: whoever has built something from it builds it anew.
    """

    __tablename__ = "channel_accounts"
    __table_args__ = (sa.UniqueConstraint("app_id", "provider"),)

    app_id: Mapped[UUID] = app_key()
    provider: Mapped[ChannelProvider]
    settings: Mapped[dict[str, Any]]
    credentials: Mapped[str] = mapped_column(info=ENCRYPTED)
    fingerprint: Mapped[str | None]
    rate_per_second: Mapped[int | None]
    enabled: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    updated_at: Mapped[datetime] = mapped_column(default=now, server_default=sa.func.now())
