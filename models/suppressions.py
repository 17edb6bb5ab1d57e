"""Addresses that must never be written to."""

from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import PERSONAL, SECRET, Record, app_key
from models.channels import ChannelKind


class SuppressionReason(StrEnum):
    """Why an address must not be written to."""

    HARD_BOUNCE = "HARD_BOUNCE"
    COMPLAINT = "COMPLAINT"
    INVALID = "INVALID"
    MANUAL = "MANUAL"
    ERASED = "ERASED"


class Suppression(Record):
    """An address that is never written to, whoever has it.

    Attributes:
        address: an e-mail, lower-cased, or a phone in E.164; None once its contact was erased.
        address_hash: what it is found by: `domain.suppressions.address_hash`, which only this server can make.
    """

    __tablename__ = "suppressions"
    __table_args__ = (
        sa.UniqueConstraint("app_id", "channel", "address_hash"),
        sa.Index("ix_suppressions_app_id_id", "app_id", "id"),
    )

    app_id: Mapped[UUID] = app_key()
    channel: Mapped[ChannelKind]
    address: Mapped[str | None] = mapped_column(info=PERSONAL)
    address_hash: Mapped[str] = mapped_column(info=SECRET)
    reason: Mapped[SuppressionReason]
