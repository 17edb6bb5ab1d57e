"""The ways to a contact. What sends by one stands in `channels`; this is their vocabulary."""

from enum import StrEnum


class ChannelKind(StrEnum):
    """A way to a contact."""

    IN_APP = "IN_APP"
    PUSH = "PUSH"
    EMAIL = "EMAIL"
    WHATSAPP = "WHATSAPP"
