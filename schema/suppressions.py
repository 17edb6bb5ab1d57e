"""Suppressed addresses."""

from datetime import datetime

import strawberry

from models.suppressions import Suppression as SuppressionRow
from models.suppressions import SuppressionReason
from schema.channels import ChannelKind
from schema.mutations import Payload
from schema.views import described, plain, view

described(
    SuppressionReason,
    "Why an address is never written to.",
    HARD_BOUNCE="A message came back for good: there is no such mailbox.",
    COMPLAINT="Who has it called a message spam.",
    INVALID="The provider does not take it for an address.",
    MANUAL="The team wants it so.",
    ERASED="Who had it was erased, and did not want to be written to. The address itself is not kept.",
)


@view(SuppressionRow, description="An address that is never written to, whoever has it.")
class Suppression:
    """A suppressed address."""

    id: strawberry.ID = plain("UUID.")
    channel: ChannelKind = plain("The channel that writes to it: EMAIL or WHATSAPP.")
    address: str | None = plain("The address; null when its contact was erased: it is recognised, and not known.")
    reason: SuppressionReason = plain("Why.")
    created_at: datetime = plain("Since when.")


@strawberry.input(description="An address that is never to be written to.")
class SuppressAddressInput:
    """An address."""

    channel: ChannelKind = plain("EMAIL or WHATSAPP.")
    address: str = plain("An e-mail address, or a phone number in E.164.")
    reason: SuppressionReason = strawberry.field(
        default=SuppressionReason.MANUAL, description="Why. With ERASED the address itself is not kept."
    )


@strawberry.input(description="An address that may be written to again.")
class UnsuppressAddressInput:
    """An address."""

    channel: ChannelKind = plain("EMAIL or WHATSAPP.")
    address: str = plain("An e-mail address, or a phone number in E.164.")


@strawberry.type(description="The suppressed address.")
class SuppressAddressPayload(Payload):
    """A suppression."""

    suppression: Suppression | None = plain("The suppression.")


@strawberry.type(description="What is suppressed no more.")
class UnsuppressAddressPayload(Payload):
    """The id of a suppression that is gone."""

    deleted_suppression_id: strawberry.ID | None = plain("Its id.")
