"""Opt-outs of contacts."""

from datetime import datetime

import strawberry

from models.opt_outs import OptOut as OptOutRow
from models.opt_outs import OptOutReason
from schema.channels import ChannelKind
from schema.views import described, plain, view

described(
    OptOutReason,
    "How a contact opted out.",
    UNSUBSCRIBED="By the unsubscribe link of a message.",
    STOP_WORD="By answering with a word such as STOP.",
    COMPLAINED="By calling a message spam.",
    MANUAL="They told the team.",
    IMPORTED="It was known elsewhere, and taken over.",
)


@view(OptOutRow, description="A contact does not want to be written to by a channel.")
class OptOut:
    """An opt-out."""

    id: strawberry.ID = plain("UUID.")
    channel: ChannelKind | None = plain("By which channel not; null: by none at all.")
    reason: OptOutReason = plain("How they opted out.")
    note: str | None = plain("What the team noted.")
    created_at: datetime = plain("Since when.")


@strawberry.input(description="Who opts out of what. Once is as good as often.")
class OptOutContactInput:
    """An opt-out."""

    contact_id: strawberry.ID = plain("The contact.")
    channel: ChannelKind | None = strawberry.field(
        default=None, description="The channel; left out, all of them, those to come too."
    )
    reason: OptOutReason = strawberry.field(default=OptOutReason.MANUAL, description="How they opted out.")
    note: str | None = strawberry.field(default=None, description="For the team, to 500 characters.")


@strawberry.input(description="Who opts in again, and to what.")
class OptInContactInput:
    """The end of an opt-out."""

    contact_id: strawberry.ID = plain("The contact.")
    channel: ChannelKind | None = strawberry.field(default=None, description="The channel; left out, all of them.")
