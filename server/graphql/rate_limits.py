"""What a request spends of the rate limits, and what its answer tells of them.

Each HTTP request and each operation of a websocket spends one, before it is read further, and another for each root
field beyond the first, once it is known to be valid: what could be asked one by one costs the same at once. The answer
names the limit that is nearest to its end, in the fields RateLimit-Policy and RateLimit
(draft-ietf-httpapi-ratelimit-headers-11).
"""

from collections.abc import Awaitable, Callable, Mapping
from math import ceil

from core.errors import RateLimited
from core.ratelimit import Left, Spent
from domain.principals import Principal

Spend = Callable[[Principal | None, str, int], Awaitable[Spent]]
HEADERS = ("RateLimit-Policy", "RateLimit")


async def unlimited(_principal: Principal | None, _ip: str, _requests: int) -> Spent:
    """Everything passes."""
    return Spent()


class Toll:
    """What one caller pays for one request.

    Args:
        spend: spends so many requests of a principal, or of nobody, from an address.
        ip: the caller's address.

    Attributes:
        headers: what the answer tells; empty when nothing was counted.
    """

    def __init__(self, spend: Spend, ip: str) -> None:
        self._spend = spend
        self._ip = ip
        self.headers: Mapping[str, str] = {}

    async def pay(self, principal: Principal | None, requests: int = 1) -> None:
        """Spend requests of `principal`; None when nobody is signed in or their proof has failed.

        Raises:
            RateLimited: they are too many; none is spent.
        """
        spent = await self._spend(principal, self._ip, requests)
        if spent.left:
            self.headers = _told(min(spent.left, key=lambda left: left.units))
        if spent.wait > 0:
            raise RateLimited(f"Too many requests. Wait {ceil(spent.wait)} seconds.", retry_after=spent.wait)


def _told(left: Left) -> Mapping[str, str]:
    """Name, quota and window; then how many are left, and the seconds until there are more."""
    limit = left.limit
    policy = f'"{limit.policy}";q={limit.limit};w={ceil(limit.per_seconds)}'
    return dict(zip(HEADERS, (policy, f'"{limit.policy}";r={left.units};t={ceil(left.seconds)}'), strict=True))
