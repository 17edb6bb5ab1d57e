"""Rate limits: the generic cell rate algorithm in one Redis script, by the server's clock, shared by all processes.

A key keeps one number, the instant at which all that was spent is paid back. A spend moves it on by its cost and
passes when it stays within the burst.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

import structlog

from core.config import config
from core.redis_client import RedisAway, reach

log = structlog.get_logger(__name__)
Fallback = Literal["open", "local"]
MICROS = 1_000_000
LOCAL_KEYS = 50_000

# Times are whole microseconds. The cap keeps a server clock that was set back from locking everybody out.
_SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local wait, paid = 0, {}
for i, key in ipairs(KEYS) do
  local cost, span = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local owed = math.min(tonumber(redis.call('GET', key) or 0), now + span)
  paid[i] = math.max(owed, now) + cost
  wait = math.max(wait, paid[i] - span - now)
end
if wait > 0 then return wait end
for i, key in ipairs(KEYS) do
  redis.call('SET', key, string.format('%.0f', paid[i]), 'PX', math.ceil((paid[i] - now) / 1000))
end
return 0
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

    Raises:
        ValueError: a number is not positive, or the cost exceeds the burst and could never pass.
    """

    key: str
    limit: int
    per_seconds: float
    burst: int | None = None
    cost: int = 1

    def __post_init__(self) -> None:
        if self.limit < 1 or self.per_seconds <= 0 or not 1 <= self.cost <= self._most:
            raise ValueError(f"{self} can never let anything pass")

    @property
    def cost_micros(self) -> int:
        """Microseconds it takes to pay back this spend."""
        return self.cost * self._unit_micros

    @property
    def span_micros(self) -> int:
        """Microseconds it takes to pay back a whole burst."""
        return self._most * self._unit_micros

    @property
    def name(self) -> str:
        """The key within the limiter; rates of one key do not mix."""
        return f"{self.key}:{self.limit}/{self.per_seconds:g}"

    @property
    def _most(self) -> int:
        return self.limit if self.burst is None else self.burst

    @property
    def _unit_micros(self) -> int:
        return max(1, round(self.per_seconds * MICROS / self.limit))


async def allow(
    key: str, limit: int, per_seconds: float, *, burst: int | None = None, fallback: Fallback = "local"
) -> float:
    """Spend one unit of `key`: 0.0 when it passes, else the seconds until one would. See `Limit` and `spend`."""
    return await spend(Limit(key, limit, per_seconds, burst), fallback=fallback)


async def forgive(key: str, limit: int, per_seconds: float) -> None:
    """Forget what `key` has spent at this rate. With Redis away it stays spent there."""
    name = Limit(key, limit, per_seconds).name
    _local.forget(name)
    try:
        async with reach() as redis:
            await redis.delete(f"{config().namespace}:rate:{name}")
    except RedisAway as away:
        log.debug("rate limit not forgiven", reason=str(away))


async def spend(*limits: Limit, fallback: Fallback = "local") -> float:
    """Spend from all `limits` or from none, in one round trip.

    Args:
        limits: distinct pairs of key and rate.
        fallback: when Redis is away, "local" counts in this process alone, by the same numbers; "open" lets pass.

    Returns:
        0.0 when it passes, else the seconds until it would if nobody else spends.
    """
    if not limits:
        return 0.0
    try:
        return await _spend_shared(limits) / MICROS
    except RedisAway as away:
        log.debug("rate limit not shared", fallback=fallback, reason=str(away))
    return 0.0 if fallback == "open" else _local.spend(limits) / MICROS


async def _spend_shared(limits: tuple[Limit, ...]) -> int:
    keys = [f"{config().namespace}:rate:{limit.name}" for limit in limits]
    args = [number for limit in limits for number in (limit.cost_micros, limit.span_micros)]
    async with reach() as redis:
        return int(await redis.register_script(_SCRIPT)(keys=keys, args=args))


class LocalLimiter:
    """The same algorithm in this process. Holds `capacity` keys at most and forgets the longest unused first."""

    def __init__(self, capacity: int = LOCAL_KEYS) -> None:
        self._capacity = capacity
        self._paid: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._paid)

    def spend(self, limits: tuple[Limit, ...]) -> int:
        """Spend from all `limits` or from none: 0 when it passes, else the microseconds until it would."""
        now = time.monotonic_ns() // 1000
        paid = {limit.name: max(self._paid.get(limit.name, 0), now) + limit.cost_micros for limit in limits}
        wait = max(paid[limit.name] - limit.span_micros - now for limit in limits)
        if wait > 0:
            return wait
        for name, instant in paid.items():
            self._keep(name, instant)
        return 0

    def forget(self, name: str) -> None:
        """Nothing is spent of `name` any more."""
        self._paid.pop(name, None)

    def _keep(self, name: str, instant: int) -> None:
        self._paid[name] = instant
        self._paid.move_to_end(name)
        if len(self._paid) > self._capacity:
            self._paid.popitem(last=False)


_local = LocalLimiter()
