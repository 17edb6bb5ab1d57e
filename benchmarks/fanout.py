"""One event to a thousand open websockets: how soon it is there, beside the fastest plain server of the same messages.

From the begin of the transaction that makes it happen, over PostgreSQL, the bus, one API process and its execution, to
each client. The plain server is `websockets.broadcast`: it hears the finished text over Valkey, and knows no GraphQL,
no database and no rights. `alone` is the API with a document of its own for each client: nobody is alike.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
import uvloop
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from benchmarks.ground import ground
from benchmarks.lines import Line, connected

EVENTS = 40
BURST, BURSTS = 50, 6
ALONE = 10
PER_PERSON = 20
DOCUMENT = """subscription($after: String) { broadcastChanged(after: $after) { __typename
  ... on StreamEvent { cursor sequence occurredAt }
  ... on BroadcastChange { action entityId actor broadcast { id title status totalRecipients } } } }"""
PLAIN = """
import asyncio, os, sys
from redis.asyncio import Redis
from websockets.asyncio.server import broadcast, serve

async def main():
    there = set()
    async def keep(connection):
        there.add(connection)
        await connection.wait_closed()
    bus = Redis.from_url(os.environ["REDIS_URL"]).pubsub()
    await bus.subscribe("plain")
    async with serve(keep, "127.0.0.1", int(sys.argv[1]), compression=None, ping_interval=None):
        async for message in bus.listen():
            if message["type"] == "message":
                broadcast(there, message["data"].decode())

import uvloop
uvloop.run(main())
"""
Tell = Callable[[int], Awaitable[None]]


@dataclass
class Found:
    """What was measured of one server.

    Attributes:
        waits: milliseconds from an event to each client, of events one at a time.
        singles: deliveries a second of each of these.
        rates: deliveries a second of each burst.
    """

    waits: list[float]
    singles: list[float]
    rates: list[float]

    def percentile(self, percent: int) -> float:
        """Of the waits."""
        return statistics.quantiles(self.waits, n=100)[percent - 1]

    def add(self, other: "Found") -> None:
        """Take in what was measured in another round."""
        self.waits += other.waits
        self.singles += other.singles
        self.rates += other.rates

    def figures(self) -> list[float]:
        """Deliveries a second: of an event alone, and of a burst."""
        return [statistics.median(self.singles), statistics.median(self.rates)]


async def measure(lines: list[Line], tell: Tell, part: int = 1) -> Found:
    """Events one at a time, each when all have got the one before; then bursts. All of that, or one `part` of it."""
    found, burst = Found([], [], []), BURST // part
    for _ in range(EVENTS // part):
        took = await _told(lines, tell, 1)
        found.waits += [1000 * wait for wait in took]
        found.singles.append(len(lines) / max(took))
    for _ in range(max(BURSTS // part, 1)):
        found.rates.append(len(lines) * burst / max(await _told(lines, tell, burst)))
    return found


async def _told(lines: list[Line], tell: Tell, count: int) -> list[float]:
    """Seconds from the begin of telling `count` events until each line has all of them."""
    arrivals = [line.expect(count) for line in lines]
    start = time.perf_counter()
    await tell(count)
    async with asyncio.timeout(120):
        return [arrived - start for arrived in await asyncio.gather(*arrivals)]


class Watched:
    """The API of an app with one broadcast, and people who watch it."""

    def __init__(self) -> None:
        from tests.support.processes import Api

        self.server = Api(REPLYHQ_WS_MAX_CONNECTIONS_PER_IP="100000")
        self._tokens: list[str] = []
        self._row: Any = None

    async def start(self, people: int) -> None:
        """Start it, and sign people in."""
        from models.team import Role
        from tests.support import factories

        await asyncio.to_thread(self.server.start)
        team = await factories.team()
        self._row = await factories.broadcast(team)
        self._tokens = [(await factories.team(Role.AGENT, team.app_id)).token for _ in range(people)]

    async def tell(self, count: int) -> None:
        """Have so many events happen in one transaction."""
        from core.database import transaction
        from domain.broadcasts import queries
        from domain.principals import SYSTEM
        from models.facts import FactKind

        async with transaction() as session:
            for _ in range(count):
                queries.record(session, SYSTEM, FactKind.BROADCAST_UPDATED, self._row)

    async def line(self, no: int, document: str) -> Line:
        """A client that has got its snapshot."""
        line = await connected(int(self.server.url.rpartition(":")[2]), "graphql-transport-ws")
        authorization = {"Authorization": f"Bearer {self._tokens[no // PER_PERSON]}"}
        await line.ask({"type": "connection_init", "payload": authorization})
        payload = {"query": document, "variables": {"after": None}}
        await line.ask({"type": "subscribe", "id": f"operation-{no}", "payload": payload})
        return line

    async def measured(self, sockets: int, document: Callable[[int], str], part: int = 1) -> Found:
        """All clients, each with its document."""
        lines = [await self.line(no, document(no)) for no in range(sockets)]
        await _told(lines, self.tell, 1)
        found = await measure(lines, self.tell, part)
        for line in lines:
            line.close()
        return found


async def api(sockets: int) -> dict[str, Found]:
    """The API: all alike, then each alone."""
    watched = Watched()
    await watched.start(-(-sockets // PER_PERSON))
    try:
        return {
            "API": await watched.measured(sockets, lambda _: DOCUMENT),
            "API, each alone": await watched.measured(sockets, lambda no: f"{DOCUMENT} # {no}", ALONE),
        }
    finally:
        await asyncio.to_thread(watched.server.stop)


async def plain(sockets: int) -> Found:
    """The plain server, with a message as long as the API's."""
    import os

    from core.embedded.ports import free_port

    port = free_port(None)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PLAIN, str(port))
    message = orjson.dumps({"id": "operation-100", "type": "next", "payload": "x" * 420})

    async def tell(count: int) -> None:
        async with Redis.from_url(os.environ["REDIS_URL"]) as redis, redis.pipeline(transaction=False) as pipe:
            for _ in range(count):
                pipe.publish("plain", message)
            await pipe.execute()

    try:
        await asyncio.sleep(1)
        lines = [await connected(port) for _ in range(sockets)]
        await _told(lines, tell, 1)
        return await measure(lines, tell)
    finally:
        process.terminate()
        await process.wait()


async def measured(sockets: int, rounds: int) -> dict[str, Found]:
    """All servers in turn, several times; their figures together."""
    from core import redis_client
    from core.database import dispose

    together: dict[str, Found] = {}
    for _ in range(rounds):
        for name, found in [("plain server", await plain(sockets)), *(await api(sockets)).items()]:
            together.setdefault(name, Found([], [], [])).add(found)
    await redis_client.close()
    await dispose()
    return together


def show(sockets: int, found: dict[str, Found]) -> None:
    """The figures, and the ratio to the plain server."""
    table = Table(
        *("server", "p50 ms", "p95 ms", "one event: deliveries/s", "ratio", f"{BURST} at once: deliveries/s", "ratio"),
        title=f"{sockets:,} websockets, from the begin of the change to each of them",
    )
    base = found["plain server"].figures()
    for name, one in found.items():
        waits = [f"{one.percentile(percent):.1f}" for percent in (50, 95)]
        rates = zip(one.figures(), base, strict=True)
        table.add_row(name, *waits, *(text for rate, to in rates for text in (f"{rate:,.0f}", f"{rate / to:.2f}")))
    Console().print(table)


def main() -> None:
    """Run on servers of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sockets", type=int, nargs="?", default=1_000)
    parser.add_argument("rounds", type=int, nargs="?", default=2)
    asked = parser.parse_args()
    limits = {f"REPLYHQ_RATE_{name}_PER_MINUTE": "10000000" for name in ("IP", "USER", "APP")}
    with ground(**limits, REPLYHQ_LOG_LEVEL="ERROR"):
        show(asked.sockets, uvloop.run(measured(asked.sockets, asked.rounds)))


if __name__ == "__main__":
    main()
