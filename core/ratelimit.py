"""Rate limits: the generic cell rate algorithm in one Redis script, by the server's clock, shared by all processes.

A key keeps one number, the instant at which all that was spent is paid back. A spend moves it on by its cost and
passes when it stays within the burst.
"""

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Literal

import structlog
from prometheus_client import Counter

from core.config import config
from core.redis_client import RedisAway, reach

log = structlog.get_logger(__name__)
Fallback = Literal["open", "local"]
MICROS = 1_000_000
LOCAL_KEYS = 50_000
REACH_SECONDS = 0.5
ALARM_EVERY_SECONDS = 60.0
UNCOUNTED = Counter("replyhq_rate_limits_uncounted", "Spends that passed uncounted, because Redis was away.")

# Times are whole microseconds. The cap keeps a server clock that was set back from locking everybody out.
# Gives the wait, then of each key what it owes: after the spend when it passes, before it when it does not.
_SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local wait, owed, found = 0, {}, {}
for i, key in ipairs(KEYS) do
  local cost, span = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  owed[i] = math.max(math.min(tonumber(redis.call('GET', key) or 0) - now, span), 0)
  wait = math.max(wait, owed[i] + cost - span)
end
found[1] = wait
for i, key in ipairs(KEYS) do
  if wait == 0 then
    owed[i] = owed[i] + tonumber(ARGV[2 * i - 1])
    redis.call('SET', key, string.format('%.0f', now + owed[i]), 'PX', math.ceil(owed[i] / 1000))
  end
  found[i + 1] = owed[i]
end
return found
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """`limit` units per `per_seconds`, evenly refilled, for whatever `key` names.

    Attributes:
        key: who and what is limited, e.g. `sign-in:<address>`; one key may carry several rates.
        limit: units a period pays back.
        per_seconds: the period, in seconds.
        burst: units that may be spent at once; `limit` when None.
        cost: units this spend takes.
        policy: what callers know the limit as, e.g. `user`; empty when they are not told of it.

    Raises:
        ValueError: a number is not positive, or the cost exceeds the burst and could never pass.
    """

    key: str
    limit: int
    per_seconds: float
    burst: int | None = None
    cost: int = 1
    policy: str = ""

    def __post_init__(self) -> None:
        if self.limit < 1 or self.per_seconds <= 0 or not 1 <= self.cost <= self._most:
            raise ValueError(f"{self} can never let anything pass")

    @property
    def cost_micros(self) -> int:
        """Microseconds it takes to pay back this spend."""
        return self.cost * self.unit_micros

    @property
    def span_micros(self) -> int:
        """Microseconds it takes to pay back a whole burst."""
        return self._most * self.unit_micros

    @property
    def unit_micros(self) -> int:
        """Microseconds it takes to pay back one unit."""
        return max(1, round(self.per_seconds * MICROS / self.limit))

    @property
    def name(self) -> str:
        """The key within the limiter; rates of one key do not mix."""
        return f"{self.key}:{self.limit}/{self.per_seconds:g}"

    @property
    def _most(self) -> int:
        return self.limit if self.burst is None else self.burst


@dataclass(frozen=True, slots=True)
class Left:
    """Where a limit stands.

    Attributes:
        limit: the limit.
        units: how many could be spent now.
        seconds: until it is one more; 0.0 when nothing is spent.
    """

    limit: Limit
    units: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Spent:
    """What came of a spend.

    Attributes:
        wait: 0.0 when it passed, else the seconds until it would if nobody else spends.
        left: where each limit stands now; empty when nobody counted.
    """

    wait: float = 0.0
    left: tuple[Left, ...] = ()


async def allow(
    key: str, limit: int, per_seconds: float, *, burst: int | None = None, fallback: Fallback = "local"
) -> float:
    """Spend one unit of `key`: 0.0 when it passes, else the seconds until one would. See `Limit` and `spend`."""
    return (await spend(Limit(key, limit, per_seconds, burst), fallback=fallback)).wait


async def forgive(key: str, limit: int, per_seconds: float) -> None:
    """Forget what `key` has spent at this rate. With Redis away it stays spent there."""
    name = Limit(key, limit, per_seconds).name
    _local.forget(name)
    try:
        async with reach() as redis:
            await redis.delete(f"{config().namespace}:rate:{name}")
    except RedisAway as away:
        log.debug("rate limit not forgiven", reason=str(away))


async def spend(*limits: Limit, fallback: Fallback = "local") -> Spent:
    """Spend from all `limits` or from none, in one round trip.

    Args:
        limits: distinct pairs of key and rate.
        fallback: when Redis is away, "local" goes on counting in this process alone, by the same numbers, from where
            this process has last seen the limits; "open" lets pass.
    """
    if not limits:
        return Spent()
    try:
        found = await _spend_shared(limits)
        if fallback == "local":
            _local.note(limits, found)
        return _spent(limits, found)
    except RedisAway as away:
        log.debug("rate limit not shared", fallback=fallback, reason=str(away))
    if fallback == "local":
        return _spent(limits, _local.spend(limits))
    _alarm.ring()
    return Spent()


async def _spend_shared(limits: tuple[Limit, ...]) -> Sequence[int]:
    keys = [f"{config().namespace}:rate:{limit.name}" for limit in limits]
    args = [number for limit in limits for number in (limit.cost_micros, limit.span_micros)]
    async with reach(REACH_SECONDS) as redis:
        found: Sequence[int] = await redis.register_script(_SCRIPT)(keys=keys, args=args)
    return found


def _spent(limits: tuple[Limit, ...], found: Sequence[int]) -> Spent:
    """The numbers of a limiter, microseconds, as callers read them."""
    wait, *owed = found
    return Spent(wait / MICROS, tuple(_left(limit, debt) for limit, debt in zip(limits, owed, strict=True)))


def _left(limit: Limit, owed: int) -> Left:
    units = (limit.span_micros - owed) // limit.unit_micros
    more = owed - (limit.span_micros - (units + 1) * limit.unit_micros)
    return Left(limit, units, more / MICROS if owed else 0.0)


def neighbourhood(ip: str) -> str:
    """What an address is limited by: itself, or its /64 when it is IPv6, of which one household has 2^64."""
    try:
        address = ip_address(ip)
    except ValueError:
        return ip
    if not isinstance(address, IPv6Address):
        return ip
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ip_network((int(address), 64), strict=False))


class _Alarm:
    """Tells that limits are not held: each time in the metrics, once a minute in the log."""

    def __init__(self) -> None:
        self._quiet_until = 0.0

    def ring(self) -> None:
        UNCOUNTED.inc()
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + ALARM_EVERY_SECONDS
            log.error("rate limits are not held, Redis is away")


class LocalLimiter:
    """The same algorithm in this process. Holds `capacity` keys at most and forgets the longest unused first."""

    def __init__(self, capacity: int = LOCAL_KEYS) -> None:
        self._capacity = capacity
        self._paid: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._paid)

    def spend(self, limits: tuple[Limit, ...]) -> Sequence[int]:
        """Spend from all `limits` or from none.

        Returns:
            Microseconds: 0 when it passes, else those until it would; then of each limit what it owes now.
        """
        now = time.monotonic_ns() // 1000
        owed = [max(self._paid.get(limit.name, 0) - now, 0) for limit in limits]
        wait = max(debt + limit.cost_micros - limit.span_micros for limit, debt in zip(limits, owed, strict=True))
        if wait > 0:
            return [wait, *owed]
        owed = [debt + limit.cost_micros for limit, debt in zip(limits, owed, strict=True)]
        for limit, debt in zip(limits, owed, strict=True):
            self._keep(limit.name, now + debt)
        return [0, *owed]

    def note(self, limits: tuple[Limit, ...], found: Sequence[int]) -> None:
        """Take over where `limits` stand elsewhere: what comes when that is away must not begin anew.

        What was spent here meanwhile stays spent.

        Args:
            limits: those that were spent from.
            found: as `spend` gives it.
        """
        now = time.monotonic_ns() // 1000
        for limit, debt in zip(limits, found[1:], strict=True):
            self._keep(limit.name, max(self._paid.get(limit.name, 0), now + debt))

    def forget(self, name: str) -> None:
        """Nothing is spent of `name` any more."""
        self._paid.pop(name, None)

    def _keep(self, name: str, instant: int) -> None:
        self._paid[name] = instant
        self._paid.move_to_end(name)
        if len(self._paid) > self._capacity:
            self._paid.popitem(last=False)


_local = LocalLimiter()
_alarm = _Alarm()
