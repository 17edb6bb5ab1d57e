"""The ways to a contact."""

from models.channels import ChannelKind
from schema.views import described

__all__ = ["ChannelKind"]

described(
    ChannelKind,
    "A way to a contact.",
    IN_APP="Inside the app, on a device that has it open.",
    PUSH="A push notification to a device.",
    EMAIL="An e-mail to the contact's primary address.",
    WHATSAPP="A WhatsApp message to the contact's primary phone.",
)
