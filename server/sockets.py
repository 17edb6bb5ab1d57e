"""The open websockets of this process: how many one caller may have, and whether who opened them may still be here.

Limits count this process alone: behind several, a caller has as many times more. They keep one caller from taking a
process for themselves; what somebody may do in all has rate limits that hold across processes.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from time import monotonic
from typing import Protocol

import structlog
from prometheus_client import Gauge

from core.clock import now
from core.errors import Forbidden, Unauthenticated
from domain.principals import Principal

log = structlog.get_logger(__name__)
FORBIDDEN = 4403
_NEVER = -1
EVERY_SECONDS = 2.0
PROOF_SECONDS = 5.0
AT_ONCE = 200
RESTS = 3.0
REST_SECONDS = 0.1
GATHER_SECONDS = 0.05
"""Ticks that come within this time are answered by one round."""
OPEN = Gauge("replyhq_websockets", "Open websockets of this process.")


class Socket(Protocol):
    """A websocket whose opener has been proven.

    Attributes:
        token: what proved it.
        principal: who it is, as last proven.
    """

    token: str
    principal: Principal | None

    async def end(self, code: int, reason: str) -> None:
        """Stop its operations and close it."""


class Sockets:
    """The websockets of one process.

    Attributes:
        changes: how often it was said that rights may have changed.

    Args:
        authenticate: proves a token; raises Unauthenticated or Forbidden when it is no longer good.
        per_ip: how many one address may have open.
        per_user: how many one person, device or API key may have open.
    """

    def __init__(self, authenticate: Callable[[str], Awaitable[Principal]], *, per_ip: int, per_user: int) -> None:
        self._authenticate = authenticate
        self._per_ip = per_ip
        self._per_user = per_user
        self._addresses: Counter[str] = Counter()
        self._actors: Counter[str] = Counter()
        # each with how many changes of rights had been told when it was last proven
        self._proven: dict[Socket, int] = {}
        self.changes = 0
        self._closing: set[asyncio.Task[None]] = set()
        self._told = asyncio.Event()

    @contextmanager
    def admission(self, address: str) -> Iterator[bool]:
        """Whether `address` may open one more; counted until the end of the block."""
        admitted = self._addresses[address] < self._per_ip
        if not admitted:
            yield False
            return
        self._addresses[address] += 1
        with OPEN.track_inprogress():
            try:
                yield True
            finally:
                _take_one(self._addresses, address)

    def add(self, socket: Socket, changes: int = _NEVER) -> bool:
        """Look after a websocket from now on; False when its opener has as many as they may.

        Args:
            socket: whose opener has been proven.
            changes: what `changes` said before that.
        """
        actor = _actor(socket)
        if self._actors[actor] >= self._per_user:
            return False
        self._actors[actor] += 1
        self._proven[socket] = changes
        return True

    def discard(self, socket: Socket) -> None:
        """Forget a websocket that is closed; one that is not known is none."""
        if socket in self._proven:
            del self._proven[socket]
            _take_one(self._actors, _actor(socket))

    @asynccontextmanager
    async def watched(self, every: float = EVERY_SECONDS) -> AsyncIterator[None]:
        """Prove all websockets anew `every` so many seconds, by one task, until the end of the block."""
        task = asyncio.create_task(self._watch(every))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self.closed()

    def look_again(self) -> None:
        """Have a round begin at once, as rights may have changed. However often this is said, one round follows."""
        self.changes += 1
        self._told.set()

    def admits(self, socket: Socket, changes: int) -> bool:
        """Whether its opener has been proven since `changes` was said, and it is not about to be closed.

        So who lost their rights before something happened is not told of it. What changes unheard, as while Redis is
        away, is seen by the next round.
        """
        if socket.principal is None:
            return True
        return self._proven.get(socket, _NEVER) >= changes and socket.principal.expires_at > now()

    def holds(self, socket: Socket) -> bool:
        """Whether it is looked after; one that is about to be closed is not."""
        return socket in self._proven

    async def admitted(self, sockets: Iterable[Socket]) -> set[Socket]:
        """Those that may be told of what has happened up to now; who is in doubt is proven first."""
        asked, changes = set(sockets), self.changes
        if doubtful := [one for one in asked if not self.admits(one, changes)]:
            await self.prove(doubtful)
        return {one for one in asked if self.admits(one, changes)}

    async def _watch(self, every: float) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(every):
                    await self._told.wait()
                await asyncio.sleep(GATHER_SECONDS)
            self._told.clear()
            try:
                await self.round()
            except Exception:
                log.exception("websockets not proven")

    async def round(self) -> None:
        """Prove all, with rests between.

        So it takes a quarter of the process at most; with many hundred tokens a round takes longer than planned.
        """
        await self.prove(list(self._proven), rests=RESTS)

    async def prove(self, sockets: Iterable[Socket], rests: float = 0.0) -> None:
        """End what has expired, then ask about each distinct token, a few at a time; those not good any more end.

        Args:
            sockets: which; those that are closed by now are left out.
            rests: after some of them it does nothing for so many times as long as they took.
        """
        self._end(self._expired(sockets), "Forbidden: token expired")
        by_token: defaultdict[str, list[Socket]] = defaultdict(list)
        for socket in sockets:
            if socket in self._proven:
                by_token[socket.token].append(socket)
        tokens = list(by_token)
        for start in range(0, len(tokens), AT_ONCE):
            began = monotonic()
            await asyncio.gather(*(self._prove(t, by_token[t]) for t in tokens[start : start + AT_ONCE]))
            await asyncio.sleep(min(rests * (monotonic() - began), REST_SECONDS))

    def _expired(self, sockets: Iterable[Socket]) -> list[Socket]:
        instant = now()
        return [s for s in sockets if s in self._proven and s.principal and s.principal.expires_at <= instant]

    async def _prove(self, token: str, sockets: list[Socket]) -> None:
        """A failure to ask is no proof against anybody: they stay until the next round."""
        changes = self.changes
        try:
            async with asyncio.timeout(PROOF_SECONDS):
                principal = await self._authenticate(token)
        except (Unauthenticated, Forbidden) as error:
            self._end(sockets, f"Forbidden: {error.message}")
        except Exception as error:  # noqa: BLE001
            log.warning("websocket not proven", error=type(error).__name__)
        else:
            self._end([s for s in sockets if _has_other_rights(s, principal)], "Forbidden: rights have changed")
            self._proven |= {socket: changes for socket in sockets if socket in self._proven}

    def _end(self, sockets: list[Socket], reason: str) -> None:
        """Begin to close: who does not answer the closing must not hold up the round."""
        for socket in sockets:
            self.discard(socket)
            task = asyncio.create_task(_close(socket, reason))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def closed(self) -> None:
        """Wait until all that a round has begun to close is closed."""
        await asyncio.gather(*self._closing)


async def _close(socket: Socket, reason: str) -> None:
    try:
        await socket.end(FORBIDDEN, reason)
    except Exception:
        log.exception("websocket not closed")


def _has_other_rights(socket: Socket, principal: Principal) -> bool:
    """Subscriptions ask for app and permission when they start, so that others mean starting again."""
    before = socket.principal
    return before is not None and (before.permissions, before.app_id) != (principal.permissions, principal.app_id)


def _actor(socket: Socket) -> str:
    return socket.principal.actor if socket.principal else ""


def _take_one(counter: Counter[str], name: str) -> None:
    counter[name] -= 1
    if not counter[name]:
        del counter[name]
