"""The tenant."""

from datetime import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.assignment import AssignmentMode
from models.base import Record

PRIMARY_COLOUR = "#DC2626"


class App(Record):
    """A tenant: one product whose users a team talks to.

    Attributes:
        requires_two_factor: whether owners and admins must have a second factor to do more than set it up.
        rate_limits: the limits that differ from the configured ones, by the name of the setting.
        time_zone: IANA name; where a contact's own is not known.
        quiet_start, quiet_end: wall times between which contacts are left alone; both None when there are no such.
        frequency_cap_count, frequency_cap_hours: a contact gets at most so many messages in so many hours; both None
            when there is no cap.
        assignment_mode: how conversations come to the people of the team.
        agent_capacity: how many open conversations somebody is given at most, unless they have a number of their own.
        requeue_after_minutes: after how long without their assignee customers who wait are queued anew; None: never.
        logo_url: where its logo lies, by https.
        primary_colour: `#RRGGBB`.
        email_on_new_message, email_on_new_conversation: what the team is told by e-mail, unless one says otherwise.
        business_hours: `weekly` and `holidays`, as `domain.settings.hours` reads them; without `weekly` always open.
        features: what it has said of feature flags, by their names; see `domain.features`.
        version: grows whenever any of all these changes.
    """

    __tablename__ = "apps"
    __table_args__ = (sa.Index("ix_apps_assigning", "id", postgresql_where=sa.text("assignment_mode <> 'MANUAL'")),)

    name: Mapped[str]
    requires_two_factor: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    rate_limits: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    time_zone: Mapped[str] = mapped_column(default="UTC", server_default="UTC")
    quiet_start: Mapped[time | None]
    quiet_end: Mapped[time | None]
    frequency_cap_count: Mapped[int | None]
    frequency_cap_hours: Mapped[int | None]
    assignment_mode: Mapped[AssignmentMode] = mapped_column(
        default=AssignmentMode.MANUAL, server_default=AssignmentMode.MANUAL.value
    )
    agent_capacity: Mapped[int] = mapped_column(default=20, server_default="20")
    requeue_after_minutes: Mapped[int | None] = mapped_column(default=10, server_default="10")
    logo_url: Mapped[str | None]
    primary_colour: Mapped[str] = mapped_column(default=PRIMARY_COLOUR, server_default=PRIMARY_COLOUR)
    email_on_new_message: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    email_on_new_conversation: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    business_hours: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    features: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    version: Mapped[int] = mapped_column(default=1, server_default="1")
