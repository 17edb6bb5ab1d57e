"""The open websockets of this process: how many an address may have, and whether who opened them may still be here."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
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
EVERY_SECONDS = 2.0
PROOF_SECONDS = 5.0
AT_ONCE = 200
RESTS = 3.0
REST_SECONDS = 0.1
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

    Args:
        authenticate: proves a token; raises Unauthenticated or Forbidden when it is no longer good.
        per_ip: how many one address may have open.
    """

    def __init__(self, authenticate: Callable[[str], Awaitable[Principal]], *, per_ip: int) -> None:
        self._authenticate = authenticate
        self._per_ip = per_ip
        self._addresses: Counter[str] = Counter()
        self._proven: set[Socket] = set()

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
                self._leave(address)

    def _leave(self, address: str) -> None:
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]

    def add(self, socket: Socket) -> None:
        """Look after a websocket from now on."""
        self._proven.add(socket)

    def discard(self, socket: Socket) -> None:
        """Forget a websocket that is closed."""
        self._proven.discard(socket)

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

    async def _watch(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            try:
                await self.prove()
            except Exception:
                log.exception("websockets not proven")

    async def prove(self) -> None:
        """One round: end what has expired, then ask about each distinct token, a few at a time, with rests between.

        So it takes a quarter of the process at most; with many hundred tokens a round takes longer than planned.
        """
        await self._end(self._expired(), "Forbidden: token expired")
        by_token: defaultdict[str, list[Socket]] = defaultdict(list)
        for socket in self._proven:
            by_token[socket.token].append(socket)
        tokens = list(by_token)
        for start in range(0, len(tokens), AT_ONCE):
            began = monotonic()
            await asyncio.gather(*(self._prove(t, by_token[t]) for t in tokens[start : start + AT_ONCE]))
            await asyncio.sleep(min(RESTS * (monotonic() - began), REST_SECONDS))

    def _expired(self) -> list[Socket]:
        instant = now()
        return [s for s in self._proven if s.principal and s.principal.expires_at <= instant]

    async def _prove(self, token: str, sockets: list[Socket]) -> None:
        """A failure to ask is no proof against anybody: they stay until the next round."""
        try:
            async with asyncio.timeout(PROOF_SECONDS):
                principal = await self._authenticate(token)
        except (Unauthenticated, Forbidden) as error:
            await self._end(sockets, f"Forbidden: {error.message}")
        except Exception as error:  # noqa: BLE001
            log.warning("websocket not proven", error=type(error).__name__)
        else:
            await self._keep(sockets, principal)

    async def _keep(self, sockets: list[Socket], principal: Principal) -> None:
        """Subscriptions ask for their permission when they start, so other rights mean starting again."""
        changed = [s for s in sockets if s.principal and s.principal.permissions != principal.permissions]
        await self._end(changed, "Forbidden: rights have changed")

    async def _end(self, sockets: list[Socket], reason: str) -> None:
        for socket in sockets:
            self.discard(socket)
        await asyncio.gather(*(socket.end(FORBIDDEN, reason) for socket in sockets))
