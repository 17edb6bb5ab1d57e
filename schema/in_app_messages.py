"""What a device receives and reports."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from domain.in_app_messages import ReceiptKind
from models.in_app_messages import InAppMessage as InAppMessageRow
from schema.mutations import Payload
from schema.views import described, optional, plain, view

described(
    ReceiptKind,
    "What a device did with a message. Each includes those before it.",
    DELIVERED="It arrived.",
    OPENED="The person opened it.",
    CLICKED="The person followed it.",
)


@view(InAppMessageRow, description="A message shown inside the app.")
class InAppMessage:
    """A message for one device."""

    id: strawberry.ID = plain("UUID; the same when the message comes twice.")
    sequence: int = plain("Grows from message to message of a device: pass the last one as `after` when reconnecting.")
    title: str = plain("Its headline.")
    body: str = plain("What it says.")
    data: JSON | None = plain("For the app's code: an object.")
    created_at: datetime = plain("When it was sent.")


@strawberry.input(description="What a device did with one message.")
class ReceiptInput:
    """One report."""

    kind: ReceiptKind = plain("What was done.")
    message_id: strawberry.ID | None = optional("The message, where it was received in the app.")
    key: str | None = optional("Of a push: the `replyhqKey` in its data. Give either.")


@strawberry.input(description="What a device did with its messages.")
class ReportReceiptsInput:
    """Reports."""

    receipts: list[ReceiptInput] = plain("1 to 100; of several about one message the furthest counts.")


@strawberry.type(description="What came of the reports.")
class ReportReceiptsPayload(Payload):
    """A count."""

    accepted: int | None = plain("Reports that told something new. Repeated ones are fine, and not counted.")
