"""Rate limits: how often who may ask, and how many broadcasts they may send. An app may have numbers of its own.

A limit lets its number pass at once, then one more each time a share of the period has gone by. What counts whom:

- nobody signed in, or a proof that failed: the address (`ip`), by numbers of the server alone, as no app is known;
- a person, an API key, a device: themselves, the whole app, and its address where the app limits that.

Devices have a cap of their own: all of them report at once when a broadcast comes, and the team must still get in.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core import ratelimit
from core.batcher import Batcher
from core.config import config
from core.database import transaction
from core.errors import Invalid, RateLimited, Unavailable
from core.ratelimit import Limit, Spent, neighbourhood
from domain.principals import Principal
from domain.settings import standing
from models.apps import App

MINUTE, HOUR = 60.0, 3600.0
MOST = 100_000
CAPS = ("app_per_minute", "all_devices_per_minute")
"""The limits of a whole app. They protect the server, so an app can only lower them."""
KNOWN_SECONDS = 5.0
KNOWN_APPS = 10_000


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One limit of an app.

    Attributes:
        value: how many in the period; None when there is no limit.
        is_default: whether the app has no number of its own.
    """

    value: int | None
    is_default: bool


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The limits of an app. Those that it has changed are in `App.rate_limits`, by these names."""

    address_per_minute: RateLimit
    user_per_minute: RateLimit
    key_per_minute: RateLimit
    device_per_minute: RateLimit
    app_per_minute: RateLimit
    all_devices_per_minute: RateLimit
    broadcasts_per_hour: RateLimit
    test_broadcasts_per_hour: RateLimit


NAMES = tuple(RateLimits.__slots__)


def effective(own: Mapping[str, Any]) -> RateLimits:
    """The limits of an app with these numbers of its own."""
    return RateLimits(**{name: _effective(name, own.get(name)) for name in NAMES})


def _effective(name: str, own: int | None) -> RateLimit:
    default: int | None = getattr(config(), f"rate_{name}")
    if own is None:
        return RateLimit(default, is_default=True)
    return RateLimit(min(own, _most(name)), is_default=False)


def _most(name: str) -> int:
    """The highest number that an app may give itself."""
    cap: int = getattr(config(), f"rate_{name}") if name in CAPS else MOST
    return cap


async def update(session: AsyncSession, principal: Principal, numbers: Mapping[str, int | None]) -> App:
    """Give the app numbers of its own; None goes back to the default. All processes keep them within 5 seconds.

    Raises:
        Invalid: a number is below 1 or above what an app may have.
    """
    for name, number in numbers.items():
        _check(name, number)
    app = await standing.get(session, principal.app_id, lock=True)
    changed = {**app.rate_limits, **numbers}
    app.rate_limits = {name: number for name, number in changed.items() if number is not None}
    standing.tell(session, principal.author, app)
    return app


def _check(name: str, number: int | None) -> None:
    if number is not None and not 1 <= number <= _most(name):
        first, *others = name.split("_")
        field = first + "".join(map(str.capitalize, others))
        raise Invalid(f"{field} must be from 1 to {_most(name)}, or null for the default.", field=field)


async def spend_request(principal: Principal | None, ip: str, requests: int = 1) -> Spent:
    """Spend requests of who asks from `ip`, None being nobody; in one round trip, and without a statement mostly.

    With Redis away those who are proven pass uncounted; nobody's requests, sign-ins among them, are counted by each
    process for itself.
    """
    if principal is None:
        limit = _limit("ip", neighbourhood(ip), config().rate_ip_per_minute, requests)
        return await ratelimit.spend(limit, fallback="local")
    limits = _of_request(principal, neighbourhood(ip), await _known.of(principal.app_id), requests)
    return await ratelimit.spend(*limits, fallback="open")


async def spend_visit(_principal: Principal | None, ip: str, _requests: int) -> Spent:
    """Spend one tracked link or opened mail, which anybody may ask for, from `ip`."""
    limit = Limit(f"visits:{neighbourhood(ip)}", config().rate_visits_per_minute, MINUTE, policy="visits")
    return await ratelimit.spend(limit, fallback="local")


def _of_request(principal: Principal, address: str, limits: RateLimits, requests: int) -> list[Limit]:
    if principal.device_id:
        own, whole = ("device", limits.device_per_minute), ("devices", limits.all_devices_per_minute)
    else:
        kind = "key" if principal.api_key_id else "user"
        own = (kind, limits.key_per_minute if principal.api_key_id else limits.user_per_minute)
        whole = ("app", limits.app_per_minute)
    wanted = ((*own, principal.actor), (*whole, "*"), ("address", limits.address_per_minute, address))
    return [
        _limit(policy, f"{principal.app_id}:{who}", limit.value, requests)
        for policy, limit, who in wanted
        if limit.value
    ]


def _limit(policy: str, who: str, number: int, requests: int) -> Limit:
    """So many requests of a limit. More than it lets pass at once, after a first one, count as just that many."""
    return Limit(f"{policy}:{who}", number, MINUTE, cost=min(requests, max(number - 1, 1)), policy=policy)


async def spend_broadcast(session: AsyncSession, principal: Principal) -> None:
    """Spend the sending of one broadcast, of the person or API key. A refused sending should not get here.

    Raises:
        RateLimited: they have sent as many as they may.
    """
    limits = await _limits_of(session, principal.app_id)
    await _spend_hourly(principal, "broadcasts", limits.broadcasts_per_hour)


async def spend_test_broadcast(session: AsyncSession, principal: Principal) -> None:
    """Spend one test of a broadcast, of the person or API key.

    Raises:
        RateLimited: they have sent as many as they may.
    """
    limits = await _limits_of(session, principal.app_id)
    await _spend_hourly(principal, "tests of broadcasts", limits.test_broadcasts_per_hour)


async def _limits_of(session: AsyncSession, app_id: UUID) -> RateLimits:
    return effective(await session.scalar(sa.select(App.rate_limits).where(App.id == app_id)) or {})


async def _spend_hourly(principal: Principal, what: str, limit: RateLimit) -> None:
    if limit.value is None:
        return
    key = f"{what}:{principal.app_id}:{principal.actor}"
    wait = (await ratelimit.spend(Limit(key, limit.value, HOUR), fallback="open")).wait
    if wait > 0:
        raise RateLimited(f"At most {limit.value} {what} an hour. Wait {ceil(wait)} seconds.", retry_after=wait)


class _Known:
    """The limits of the apps that ask, read anew every 5 seconds; of 10,000 apps at most."""

    def __init__(self) -> None:
        self._limits: OrderedDict[UUID, tuple[float, RateLimits]] = OrderedDict()
        self._reads = Batcher(_read)

    async def of(self, app_id: UUID) -> RateLimits:
        """The limits of an app; the defaults when it is gone. With PostgreSQL away what was known holds."""
        until, limits = self._limits.get(app_id, (0.0, None))
        if limits is None or time.monotonic() >= until:
            limits = await self._read(app_id, limits or effective({}))
            self._keep(app_id, limits)
        return limits

    async def _read(self, app_id: UUID, last: RateLimits) -> RateLimits:
        try:
            return await self._reads.ask(app_id)
        except Unavailable:
            return last

    def _keep(self, app_id: UUID, limits: RateLimits) -> None:
        self._limits[app_id] = (time.monotonic() + KNOWN_SECONDS, limits)
        self._limits.move_to_end(app_id)
        if len(self._limits) > KNOWN_APPS:
            self._limits.popitem(last=False)


async def _read(app_ids: list[UUID]) -> Sequence[RateLimits]:
    chosen = sa.select(App.id, App.rate_limits).where(App.id.in_(app_ids))
    async with transaction(across_apps=True) as session:
        own = {row.id: row.rate_limits for row in await session.execute(chosen)}
    return [effective(own.get(id_, {})) for id_ in app_ids]


_known = _Known()
