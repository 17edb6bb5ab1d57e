"""How often the links of invitations are mailed and tried."""

from math import ceil
from uuid import UUID

from core import ratelimit
from core.errors import RateLimited
from core.ratelimit import Limit, neighbourhood

MAILS_PER_HOUR = 50
HOUR_SECONDS = 3_600.0
TRIES_PER_ADDRESS = 30
TRY_WINDOW_SECONDS = 900.0


async def count_mail(app_id: UUID) -> None:
    """Count an e-mail to be sent for an app, before the transaction that sends it.

    Raises:
        RateLimited: more than 50 within an hour.
    """
    await _count(Limit(f"invitations:{app_id}", MAILS_PER_HOUR, HOUR_SECONDS))


async def count_acceptance(ip: str) -> None:
    """Count a try to accept an invitation from an address, before the link is looked at.

    Raises:
        RateLimited: more than 30 within a quarter of an hour.
    """
    await _count(Limit(f"accept-invitation:{neighbourhood(ip)}", TRIES_PER_ADDRESS, TRY_WINDOW_SECONDS))


async def _count(limit: Limit) -> None:
    wait = (await ratelimit.spend(limit, fallback="local")).wait
    if wait > 0:
        raise RateLimited(f"Too many invitations at once. Wait {ceil(wait)} seconds.", retry_after=wait)
