"""The rate limits of an app."""

import strawberry

from domain import rate_limits
from schema.auth import App
from schema.mutations import Payload
from schema.views import plain, view

_PERIODS = (
    "How often who may ask. What is over a limit is refused with the code RATE_LIMITED, and told when to come back."
)


@view(rate_limits.RateLimit, description="One limit. Its number passes at once, then what the period gives back.")
class RateLimit:
    """One limit."""

    value: int | None = plain("How many in the period; null when there is no limit.")
    is_default: bool = plain("Whether it is the server's number, and not the app's own.")


@view(rate_limits.RateLimits, description=_PERIODS)
class RateLimits:
    """The limits of an app."""

    user_per_minute: RateLimit = plain("Requests a minute of each person of the team.")
    key_per_minute: RateLimit = plain("Requests a minute of each API key.")
    device_per_minute: RateLimit = plain("Requests a minute of each device.")
    address_per_minute: RateLimit = plain("Requests a minute from each IP address, whoever is signed in there.")
    app_per_minute: RateLimit = plain("Requests a minute of the team and its API keys together.")
    all_devices_per_minute: RateLimit = plain("Requests a minute of all devices together.")
    broadcasts_per_hour: RateLimit = plain("Broadcasts an hour that each person or API key may send or schedule.")
    test_broadcasts_per_hour: RateLimit = plain("Tests of broadcasts an hour that each person or API key may send.")


_NUMBER = "1 to 100000; null for the default."
_CAP = "1 to the server's number; null for the default."


@strawberry.input(description="Limits of the app that change. What is left out stays.")
class UpdateRateLimitsInput:
    """Limits that change."""

    user_per_minute: strawberry.Maybe[int | None] = plain(f"Requests of each person. {_NUMBER}")
    key_per_minute: strawberry.Maybe[int | None] = plain(f"Requests of each API key. {_NUMBER}")
    device_per_minute: strawberry.Maybe[int | None] = plain(f"Requests of each device. {_NUMBER}")
    address_per_minute: strawberry.Maybe[int | None] = plain(f"Requests from each IP address. {_NUMBER}")
    app_per_minute: strawberry.Maybe[int | None] = plain(f"Requests of the team and its API keys. {_CAP}")
    all_devices_per_minute: strawberry.Maybe[int | None] = plain(f"Requests of all devices. {_CAP}")
    broadcasts_per_hour: strawberry.Maybe[int | None] = plain(f"Broadcasts of each person or API key. {_NUMBER}")
    test_broadcasts_per_hour: strawberry.Maybe[int | None] = plain(f"Tests of each person or API key. {_NUMBER}")

    def numbers(self) -> dict[str, int | None]:
        """The numbers that the client wrote, by the names of the limits."""
        written = {name: getattr(self, name) for name in rate_limits.NAMES}
        return {name: some.value for name, some in written.items() if some is not None}


@strawberry.type(description="The app with its new limits. They hold within five seconds.")
class UpdateRateLimitsPayload(Payload):
    """The app."""

    app: App | None = plain("The app.")
