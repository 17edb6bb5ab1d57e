"""The end users of an app."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.clock import now
from models.base import PERSONAL, Record, app_key

_SEARCHED = (
    "lower(name || ' ' || coalesce(external_id, '') || ' ' || immutable_join(emails) || ' ' || immutable_join(phones))"
)


class Contact(Record):
    """A person the team talks to. E-mails are lower-cased, phones are E.164; the first of each is the primary one."""

    __tablename__ = "contacts"
    __table_args__ = (
        sa.UniqueConstraint("app_id", "external_id"),
        sa.Index("ix_contacts_app_id_id", "app_id", "id"),
        sa.Index("ix_contacts_primary_email", "app_id", sa.text("(emails[1])")),
        sa.Index("ix_contacts_primary_phone", "app_id", sa.text("(phones[1])")),
        sa.Index("ix_contacts_app_id_plan_country", "app_id", "plan", "country"),
        sa.Index("ix_contacts_app_id_country", "app_id", "country"),
        sa.Index("ix_contacts_app_id_created_at", "app_id", "created_at"),
        sa.Index(
            "ix_contacts_attributes",
            "attributes",
            postgresql_using="gin",
            postgresql_ops={"attributes": "jsonb_path_ops"},
        ),
        sa.Index("ix_contacts_tags", "tags", postgresql_using="gin"),
        sa.Index("ix_contacts_search", "search", postgresql_using="gin", postgresql_ops={"search": "gin_trgm_ops"}),
    )

    app_id: Mapped[UUID] = app_key()
    external_id: Mapped[str | None] = mapped_column(info=PERSONAL)
    name: Mapped[str] = mapped_column(default="", info=PERSONAL)
    emails: Mapped[list[str]] = mapped_column(default=list, info=PERSONAL)
    phones: Mapped[list[str]] = mapped_column(default=list, info=PERSONAL)
    locale: Mapped[str | None]
    time_zone: Mapped[str | None]
    country: Mapped[str | None]
    plan: Mapped[str | None]
    tags: Mapped[list[str]] = mapped_column(default=list)
    attributes: Mapped[dict[str, Any]] = mapped_column(default=dict, info=PERSONAL)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    search: Mapped[str] = mapped_column(sa.Text, sa.Computed(_SEARCHED, persisted=True), deferred=True)
