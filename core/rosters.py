"""Short lists of who is at something at this moment: types, looks on, is there. Kept by Redis, never stored.

An entry lasts for some seconds and is said again as long as it holds; so what a killed process has said ends by itself.
Who follows a list hears of each entry how long it lasts, and takes it off by their own clock. With Redis away lists are
empty and nobody is hindered; nothing is owed to anybody.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from time import monotonic
from uuid import UUID

import orjson
import structlog

from core.config import config
from core.pubsub import GAP, Closed, Subscription, Tick, hub, publish
from core.redis_client import RedisAway, reach
from core.renewal import Renewal

log = structlog.get_logger(__name__)
MOST = 1_000
RETRY_SECONDS = 1.0
RENEWALS = 3
"""How often an entry that is held is said within the time that it lasts."""

Entry = tuple[str, ...]
"""Who it is about (`user:<id>`), which connection says so, and what readers want to know besides; all in texts."""

# The server's clock, in milliseconds; those whose time is over go whenever somebody speaks.
_NOW = "local clock = redis.call('TIME') local now = clock[1] * 1000 + math.floor(clock[2] / 1000) "
_SAY = f"""{_NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[1]), ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
"""
_READ = f"""{_NOW}
local found = redis.call('ZRANGE', KEYS[1], now, '+inf', 'BYSCORE', 'LIMIT', 0, {MOST}, 'WITHSCORES')
for i = 2, #found, 2 do found[i] = found[i] - now end
return found
"""


class Roster:
    """Lists of one kind, each of something with an id.

    Args:
        name: of the kind.
        lasts: seconds that an entry lasts when it is not said again.
    """

    def __init__(self, name: str, lasts: Callable[[], float]) -> None:
        self._name = name
        self._lasts = lasts
        self._held: Renewal[tuple[UUID, Entry]] = Renewal(self._renew, lambda: lasts() / RENEWALS)

    async def say(self, of: UUID, entry: Entry) -> None:
        """Put `entry` on the list of `of`, or let it last anew."""
        await self._write([(of, entry)])
        await self._tell([(of, entry)])

    async def take_back(self, of: UUID, *entries: Entry) -> None:
        """Take entries off; those that are not on the list are none."""
        members = [orjson.dumps(entry) for entry in entries]
        if not members:
            return
        try:
            async with reach() as redis:
                await redis.zrem(self._key(of), *members)
        except RedisAway as away:
            log.debug("roster not told", roster=self._name, reason=str(away))
        await publish(self._tick(of, entry, 0) for entry in entries)

    async def hold(self, of: UUID, entry: Entry) -> None:
        """Put `entry` on the list and keep it there until `let_go`."""
        self._held.hold((of, entry))
        await self.say(of, entry)

    async def let_go(self, of: UUID, entry: Entry) -> None:
        """The way back of `hold`."""
        if self._held.let_go((of, entry)):
            await self.take_back(of, entry)

    @asynccontextmanager
    async def held(self, of: UUID, entry: Entry) -> AsyncIterator[None]:
        """Keep `entry` on the list until the end of the block."""
        try:
            await self.hold(of, entry)
            yield
        finally:
            await self.let_go(of, entry)

    async def read(self, of: UUID) -> Mapping[Entry, float]:
        """The entries on a list, 1,000 at most, and the seconds that each will last.

        Raises:
            RedisAway: nobody knows.
        """
        async with reach() as redis:
            found = await redis.register_script(_READ)(keys=[self._key(of)])
        return {tuple(orjson.loads(one)): int(ms) / 1000 for one, ms in zip(found[::2], found[1::2], strict=True)}

    async def here(self, of: UUID) -> frozenset[Entry]:
        """The entries on a list; none when nobody knows."""
        try:
            return frozenset(await self.read(of))
        except RedisAway:
            return frozenset()

    async def here_at(self, of: Collection[UUID]) -> dict[UUID, frozenset[Entry]]:
        """The entries on each of several lists, in one round trip; none when nobody knows."""
        if not of:
            return {}
        try:
            async with reach() as redis, redis.pipeline(transaction=False) as pipe:
                for one in of:
                    pipe.eval(_READ, 1, self._key(one))
                found = await pipe.execute()
        except RedisAway:
            return {}
        return {
            one: frozenset(tuple(orjson.loads(entry)) for entry in entries[::2])
            for one, entries in zip(of, found, strict=True)
        }

    async def follow(self, of: UUID) -> AsyncGenerator[frozenset[Entry], None]:
        """The entries on a list now, then again whenever one has come or gone."""
        async with hub().subscribe(self._topic(of)) as ticks:
            view, told = _View(), None
            await self._refresh(view, of)
            with suppress(Closed):
                while True:
                    if (now := view.now()) != told:
                        yield (told := now)
                    await self._hear(view, of, ticks)

    async def _hear(self, view: "_View", of: UUID, ticks: Subscription) -> None:
        """Wait until something is new, or an entry ends."""
        heard = await ticks.hear(view.wait())
        for item in (heard, *ticks.drain()):
            if item is GAP:
                view.unsure = True
            elif item is not None:
                view.take(item.data)
        if view.unsure:
            await self._refresh(view, of)

    async def _refresh(self, view: "_View", of: UUID) -> None:
        """Ask anew. What is not there any more ends by its own time: who holds it may be about to say it again."""
        try:
            view.add(await self.read(of))
        except RedisAway as away:
            log.debug("roster unknown", roster=self._name, reason=str(away))
            view.unsure = True
        else:
            view.unsure = False

    async def _renew(self, held: Sequence[tuple[UUID, Entry]]) -> None:
        """Whoever has let go meanwhile has told so; followers must not hear the opposite after that."""
        await self._write(held)
        await self._tell([one for one in held if self._held.holds(one)])

    async def _write(self, held: Sequence[tuple[UUID, Entry]]) -> None:
        ms = round(self._lasts() * 1000)
        try:
            async with reach() as redis, redis.pipeline(transaction=False) as pipe:
                for of, entry in held:
                    pipe.eval(_SAY, 1, self._key(of), ms, orjson.dumps(entry))
                await pipe.execute()
        except RedisAway as away:
            log.debug("roster not told", roster=self._name, reason=str(away))

    async def _tell(self, held: Sequence[tuple[UUID, Entry]]) -> None:
        ms = round(self._lasts() * 1000)
        await publish(self._tick(of, entry, ms) for of, entry in held)

    def _tick(self, of: UUID, entry: Entry, ms: int) -> Tick:
        return Tick(self._topic(of), {"entry": entry, "ms": ms})

    def _topic(self, of: UUID) -> str:
        return f"{self._name}:{of}"

    def _key(self, of: UUID) -> str:
        return f"{config().namespace}:{self._name}:{of.hex}"


class _View:
    """A list as one follower knows it: entries with the instants, of this process's clock, at which they end.

    Attributes:
        unsure: whether something may have been missed, or Redis could not be asked.
    """

    def __init__(self) -> None:
        self._ends: dict[Entry, float] = {}
        self.unsure = False

    def add(self, entries: Mapping[Entry, float]) -> None:
        instant = monotonic()
        self._ends |= {entry: instant + seconds for entry, seconds in entries.items()}

    def take(self, told: Mapping[str, object]) -> None:
        entry, ms = _read_tick(told)
        if ms <= 0:
            self._ends.pop(entry, None)
        elif entry in self._ends or len(self._ends) < MOST:
            self.add({entry: ms / 1000})

    def now(self) -> frozenset[Entry]:
        """Those that have not ended."""
        instant = monotonic()
        self._ends = {entry: end for entry, end in self._ends.items() if end > instant}
        return frozenset(self._ends)

    def wait(self) -> float | None:
        """Seconds until there is something to do without being told; None for ever."""
        ends: Iterable[float] = self._ends.values()
        next_end = max(min(ends) - monotonic(), 0.0) if self._ends else None
        if not self.unsure:
            return next_end
        return RETRY_SECONDS if next_end is None else min(RETRY_SECONDS, next_end)


def _read_tick(told: Mapping[str, object]) -> tuple[Entry, int]:
    """What a tick says; one that is not ours says nothing."""
    entry, ms = told.get("entry"), told.get("ms")
    if not isinstance(entry, list) or not isinstance(ms, int):
        return (), 0
    return tuple(map(str, entry)), ms
