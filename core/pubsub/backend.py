"""The backend that broadcaster lacks: one supervised reader that hears when Redis goes, comes back or falls silent.

broadcaster's own Redis backend listens before its SUBSCRIBE is acknowledged, never reconnects and queues without
bound. This one subscribes to all its channels whenever it connects, and tells every channel of a gap when it had lost
the connection.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

import structlog
from broadcaster import BroadcastBackend, Event
from redis.asyncio import Connection, ConnectionPool

from core.pubsub.ring import Ring
from core.pubsub.wire import GAP_MESSAGE
from core.redis_client import RedisAway, reach

log = structlog.get_logger(__name__)
FIRST_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long the reader waits, in seconds, and how much it holds.

    Attributes:
        beat: between two heartbeats, which take the way of the ticks.
        silence: without a heartbeat until the connection counts as dead.
        patience: for connecting and having all subscriptions acknowledged.
        backoff: the longest pause between two attempts to connect.
        queue: messages that may wait between the reader and the hub; no fewer than there are channels.
    """

    beat: float = 5.0
    silence: float = 15.0
    patience: float = 2.0
    backoff: float = 2.0
    queue: int = 8192


class RedisBackend(BroadcastBackend):
    """Reads a fixed set of channels of one Redis. The channels are subscribed by connect(), not one by one."""

    def __init__(self, url: str, channels: Iterable[str], bounds: Bounds) -> None:
        self.connected = False
        self._channels = tuple(channels)
        self._heartbeat = f"{self._channels[0]}:heartbeat:{uuid4()}"
        self._bounds = bounds
        self._events: Ring[Event] = Ring(bounds.queue)
        self._tried = asyncio.Event()
        # No socket_timeout: it would end a read for which there is simply no news. `silence` bounds it instead.
        self._pool = ConnectionPool.from_url(
            url, protocol=2, socket_timeout=None, decode_responses=True, encoding_errors="replace"
        )

    async def connect(self) -> None:
        """Start the reader; back once it has subscribed, or has failed to at the first attempt (it goes on trying)."""
        self._reader = asyncio.create_task(self._supervise(), name="pubsub-reader")
        try:
            await self._tried.wait()
        except asyncio.CancelledError:
            await stop(self._reader)
            raise

    async def disconnect(self) -> None:
        """Stop the reader and close its connection."""
        await stop(self._reader)
        self.connected = False

    async def subscribe(self, group: str) -> None:
        """Nothing to send: connect() has subscribed to all channels and has seen it acknowledged.

        Raises:
            ValueError: `group` is not a channel of this backend.
        """
        if group not in self._channels:
            raise ValueError(f"{group} is not a channel of this backend")

    async def unsubscribe(self, group: str) -> None:
        """Nothing to do: the channels stay subscribed until disconnect()."""

    async def publish(self, channel: str, message: str) -> None:
        """Send `message`.

        Raises:
            RedisAway: it did not get through.
        """
        async with reach(self._bounds.patience, patient=True) as redis:
            await redis.publish(channel, message)

    async def next_published(self) -> Event:
        """The next message, or the message that tells of a gap, waiting for it."""
        return await self._events.get()

    async def _supervise(self) -> None:
        """Serve for ever. A connection that does not last counts as a failed attempt, or gaps would come in storms."""
        now = asyncio.get_running_loop().time
        failures = 0
        while True:
            started_at = now()
            try:
                await self._serve()
            except Exception as error:  # noqa: BLE001 - whatever it was, a reader that dies is deaf for good
                failures = 1 if now() - started_at > self._bounds.silence else failures + 1
                self._report(failures, error)
            self.connected = False
            self._tried.set()
            await asyncio.sleep(self._pause(failures))

    def _report(self, failures: int, error: Exception) -> None:
        """One line for an outage, however many attempts it lasts."""
        if failures == 1:
            log.warning("bus lost, reconnecting", error=type(error).__name__)

    def _pause(self, failures: int) -> float:
        """Doubles with every failure up to the bound, less up to a half so that processes do not come all at once."""
        longest = min(self._bounds.backoff, FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 16))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret

    async def _serve(self) -> None:
        """Connect, subscribe and read until something breaks; never returns normally."""
        async with self._subscribed() as connection:
            self.connected = True
            if self._tried.is_set():
                log.info("bus connected")
                self._tell_gap()
            self._tried.set()
            beating = asyncio.create_task(self._beat(), name="pubsub-heartbeat")
            try:
                await self._read(connection)
            finally:
                await stop(beating)

    @asynccontextmanager
    async def _subscribed(self) -> AsyncIterator[Connection]:
        """A connection of its own on which all channels are subscribed and acknowledged."""
        connection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            async with asyncio.timeout(self._bounds.patience):
                await connection.connect()
                await connection.send_command("SUBSCRIBE", *self._channels, self._heartbeat)
                for _ in (*self._channels, self._heartbeat):
                    await connection.read_response()
            yield connection
        finally:
            await connection.disconnect(nowait=True)

    async def _read(self, connection: Connection) -> None:
        """Take messages; TimeoutError when no heartbeat came for too long."""
        now = asyncio.get_running_loop().time
        async with asyncio.timeout(self._bounds.silence) as alive:
            while True:
                _, channel, message = await connection.read_response()
                if channel == self._heartbeat:
                    alive.reschedule(now() + self._bounds.silence)
                else:
                    self._take(Event(channel, message))

    async def _beat(self) -> None:
        while True:
            with suppress(RedisAway):
                await self.publish(self._heartbeat, "")
            await asyncio.sleep(self._bounds.beat)

    def _take(self, event: Event) -> None:
        if not self._events.put(event):
            self._tell_gap()

    def _tell_gap(self) -> None:
        """In place of what is queued: the gap covers it, and a full queue must not swallow the gap."""
        self._events.drain()
        for channel in self._channels:
            self._events.put(Event(channel, GAP_MESSAGE))


async def stop(task: asyncio.Task[None]) -> None:
    """Cancel `task` and wait for its end."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
