"""When and how often an app writes to one contact at most."""

from datetime import time
from typing import cast

import strawberry

from domain import sending_limits
from models.apps import App as AppRow
from schema.auth import App
from schema.mutations import Payload
from schema.views import plain, view

_NAMES = sending_limits.SendingLimits.__optional_keys__


@view(AppRow, description="When and how often the app writes to one contact at most.")
class SendingLimits:
    """Quiet hours and frequency cap."""

    time_zone: str = plain("IANA name; it stands in for that of contacts whose own is not known.")
    quiet_start: time | None = plain("When the quiet hours begin, where the contact lives; null: there are none.")
    quiet_end: time | None = plain("When they end; before the start, it is on the next day.")
    frequency_cap_count: int | None = plain("How many messages a contact gets at most; null: there is no cap.")
    frequency_cap_hours: int | None = plain("In how many hours.")


@strawberry.input(description="Limits of the app that change. What is left out stays; null clears.")
class UpdateSendingLimitsInput:
    """Limits that change."""

    time_zone: strawberry.Maybe[str | None] = plain("IANA name, e.g. Europe/Berlin; null is UTC.")
    quiet_start: strawberry.Maybe[time | None] = plain("When the quiet hours begin; with `quietEnd`.")
    quiet_end: strawberry.Maybe[time | None] = plain("When they end. Equal to the start: there are none.")
    frequency_cap_count: strawberry.Maybe[int | None] = plain("1 to 100 messages; with `frequencyCapHours`.")
    frequency_cap_hours: strawberry.Maybe[int | None] = plain("1 to 720 hours.")

    def given(self) -> sending_limits.SendingLimits:
        """The limits that the client wrote, null ones among them."""
        written = {name: getattr(self, name) for name in _NAMES}
        return cast(
            "sending_limits.SendingLimits", {name: some.value for name, some in written.items() if some is not None}
        )


@strawberry.type(description="The app with its new limits. Whatever is sent from now on keeps them.")
class UpdateSendingLimitsPayload(Payload):
    """The app."""

    app: App | None = plain("The app.")
