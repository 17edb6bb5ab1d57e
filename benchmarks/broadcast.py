"""A broadcast to a million, as in production: one API, two worker processes, a clock; beside one plain UPDATE.

First by push with a provider that costs nothing, then to fewer with the simulated FCM over HTTP. Told are recipients a
second, what each costs in CPU, the memory of the workers, and how quick the API stays meanwhile.

Usage: python -m benchmarks.broadcast [recipients] [recipients of the simulator]
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
from rich.console import Console
from rich.progress import Progress, TextColumn
from rich.table import Table

from benchmarks.ground import ground
from benchmarks.watched import Memory, below, cpu_seconds
from core.config import config
from server.commands import Queue, worker_command, worker_environment

MILLION = 1_000_000
SIMULATED = 50_000
IDLE_SECONDS = 10.0
WARM_SECONDS = 3.0
LOOK_SECONDS = 0.25
ASK_SECONDS = 0.05
PEOPLE = """
INSERT INTO contacts (
  id, app_id, external_id, name, emails, phones, tags, attributes, created_at, updated_at
)
SELECT (right($1::uuid::text, 8) || lpad(to_hex(no), 24, '0'))::uuid, $1::uuid, 'user-' || no, 'User ' || no,
  '{}', '{}', '{}', '{}', now(), now()
FROM generate_series(1, $2::int) AS no
"""
DEVICES = """
INSERT INTO devices (id, app_id, contact_id, platform, push_token, created_at)
SELECT id, app_id, id, 'ANDROID', 'token-' || external_id, now() FROM contacts WHERE app_id = $1
"""
COPY = """
INSERT INTO broadcast_recipients (broadcast_id, seq, device_id, contact_id, platform, status)
SELECT $2, seq, device_id, contact_id, platform, 'PENDING' FROM broadcast_recipients WHERE broadcast_id = $1
"""
MARK = "UPDATE broadcast_recipients SET status = 'SENT', sent_at = now() WHERE broadcast_id = $1"
STATE = """
SELECT b.status, b.expanded_at, coalesce(sum(c.sent + c.failed + c.skipped + c.uncertain), 0) AS through
FROM broadcasts b LEFT JOIN broadcast_chunks c ON c.broadcast_id = b.id WHERE b.id = $1 GROUP BY b.id
"""
CREATE = """
mutation Create($input: CreateBroadcastInput!) {
  createBroadcast(input: $input) { broadcast { id } userErrors { message } }
}
"""
SEND = "mutation Send($input: SendBroadcastInput!) { sendBroadcast(input: $input) { userErrors { message } } }"
ACCOUNT = """
mutation Set($input: SetChannelAccountInput!) { setChannelAccount(input: $input) { userErrors { message } } }
"""
SMALL = "{ broadcasts(first: 10) { nodes { id title status } } }"


@dataclass(frozen=True)
class Told:
    """What was seen of a sending.

    Attributes:
        writing, sending: seconds until the recipients were written, and from then until the last was sent.
        plain: seconds of one UPDATE of the same rows, None where it was not asked for.
        cpu: seconds that the workers took.
        memory: MB, of each worker process the most.
        idle, busy: milliseconds within which 95 of 100 small queries were answered, before and meanwhile.
    """

    recipients: int
    writing: float
    sending: float
    plain: float | None
    cpu: float
    memory: list[float]
    idle: float
    busy: float


@dataclass
class Api:
    """The API as a client sees it."""

    session: aiohttp.ClientSession
    url: str

    async def ask(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a document; raises on any error, so that nothing is measured that did not work."""
        async with self.session.post(self.url, json={"query": query, "variables": variables}) as response:
            found = await response.json()
        if found.get("errors") or any(one.get("userErrors") for one in found["data"].values()):
            raise SystemExit(f"The API refused: {found}")
        return dict(found["data"])

    async def keep_asking(self, taken: list[float]) -> None:
        """Note how many milliseconds small queries take, one after the other."""
        while True:
            start = time.perf_counter()
            await self.ask(SMALL)
            taken.append(1000 * (time.perf_counter() - start))
            await asyncio.sleep(ASK_SECONDS)


@asynccontextmanager
async def asked(api: Api) -> AsyncIterator[list[float]]:
    """Small queries all through the block; what each took."""
    taken: list[float] = []
    asking = asyncio.create_task(api.keep_asking(taken))
    yield taken
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking


def p95(taken: list[float]) -> float:
    """Within which 95 of 100 are."""
    return statistics.quantiles(taken, n=20)[-1]


@contextmanager
def workers(module: str) -> Iterator[int]:
    """Two worker processes that run `module`; the process id above them."""
    from tests.support.processes import Process, clock

    command = [module if part == "jobs" else part for part in worker_command(2, tuple(Queue))]
    both = Process(command, **worker_environment()), clock()
    for one in both:
        one.start()
    try:
        yield both[0].pid
    finally:
        for one in both:
            one.stop()


@contextmanager
def simulators() -> Iterator[dict[str, Any]]:
    """The simulated providers in a process of their own; the input of `setChannelAccount` for FCM."""
    with tempfile.TemporaryDirectory() as folder:
        # a provider is elsewhere: its simulator takes no processor that the product needs
        command = ["nice", "-n", "10", sys.executable, "-c", "from server.cli import app; app()", "providers"]
        command += ["--folder", folder, "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
            where = json.loads(next(iter(running.stdout or ())))
            try:
                yield where["accounts"]["fcm"]
            finally:
                running.terminate()


async def fill(database: asyncpg.Connection, app_id: UUID, count: int) -> None:
    """`count` contacts with an Android device each, as autovacuum leaves them."""
    await database.execute(PEOPLE, app_id, count)
    await database.execute(DEVICES, app_id)
    await database.execute("VACUUM (ANALYZE) contacts, devices")


async def send(api: Api) -> UUID:
    """Create a broadcast to everybody and send it."""
    fields = {
        "title": "Hello",
        "body": "World",
        "target": {"targetType": "ALL_USERS"},
        "options": {"channels": ["PUSH"]},
    }
    created = await api.ask(CREATE, {"input": fields})
    id_ = created["createBroadcast"]["broadcast"]["id"]
    await api.ask(SEND, {"input": {"id": id_}})
    return UUID(id_)


async def watch(database: asyncpg.Connection, broadcast_id: UUID, memory: Memory, count: int) -> tuple[float, float]:
    """Seconds until the recipients are written, and until all are sent."""
    start, written = time.perf_counter(), 0.0
    with Progress(*Progress.get_default_columns(), TextColumn("{task.completed:,.0f}")) as bar:
        task = bar.add_task("Sending", total=count)
        while True:
            state = await database.fetchrow(STATE, broadcast_id)
            written = written or (time.perf_counter() - start if state["expanded_at"] else 0.0)
            bar.update(task, completed=int(state["through"]))
            memory.look()
            if state["status"] != "SENDING":
                break
            await asyncio.sleep(LOOK_SECONDS)
    if (state["status"], state["through"]) != ("SENT", count):
        raise SystemExit(f"Not all were sent: {dict(state)}")
    return written, time.perf_counter() - start


async def plain(database: asyncpg.Connection, broadcast_id: UUID) -> float:
    """Seconds of one UPDATE of the same rows, as they were before the sending."""
    copy = await database.fetchval(
        "INSERT INTO broadcasts SELECT (jsonb_populate_record(b, jsonb_build_object('id', gen_random_uuid()))).* "
        "FROM broadcasts b WHERE id = $1 RETURNING id",
        broadcast_id,
    )
    await database.execute(COPY, broadcast_id, copy)
    await database.execute("VACUUM (ANALYZE) broadcast_recipients")
    start = time.perf_counter()
    await database.execute(MARK, copy)
    return time.perf_counter() - start


async def measure(api: Api, database: asyncpg.Connection, pid: int, count: int, *, beside: bool) -> Told:
    """Send to all there are."""
    async with asked(api) as idle:
        await asyncio.sleep(IDLE_SECONDS)
    pids = below(pid)
    memory, before = Memory(pids), cpu_seconds(pids)
    broadcast_id = await send(api)
    async with asked(api) as busy:
        writing, whole = await watch(database, broadcast_id, memory, count)
    cpu = cpu_seconds(pids) - before
    rest = await plain(database, broadcast_id) if beside else None
    return Told(count, writing, whole - writing, rest, cpu, sorted(memory.most.values()), p95(idle), p95(busy))


async def run(million: int, simulated: int) -> list[Told]:
    """Both sendings, each in an app of its own."""
    from tests.support.processes import Api as ApiProcess

    process, database = ApiProcess(), await asyncpg.connect(config().database_url)
    process.start()
    try:
        free = await one(process.graphql, database, "benchmarks.free_provider", million, beside=True)
        return [free, await one(process.graphql, database, "jobs", simulated, beside=False)]
    finally:
        process.stop()
        await database.close()


async def one(url: str, database: asyncpg.Connection, module: str, count: int, *, beside: bool) -> Told:
    """A sending to `count` by workers that run `module`."""
    from tests.support import factories

    team = await factories.team()
    await fill(database, team.app_id, count)
    headers = {"Authorization": f"Bearer {team.token}"}
    with simulators() as account, workers(module) as pid:
        async with aiohttp.ClientSession(headers=headers) as session:
            api = Api(session, url)
            await api.ask(ACCOUNT, {"input": account})
            await asyncio.sleep(WARM_SECONDS)
            return await measure(api, database, pid, count, beside=beside)


def show(told: Told, title: str) -> None:
    """What was seen, as a table."""
    table = Table("what", "figure", title=f"{told.recipients:,} recipients, {title}")
    speed = told.recipients / told.sending
    table.add_row("recipients written", f"{told.writing:.1f} s")
    table.add_row("sent", f"{told.sending:.1f} s, {speed:,.0f} a second")
    if told.plain:
        table.add_row(
            "one UPDATE of the same rows", f"{told.plain:.1f} s; the sending has {told.plain / told.sending:.2f}"
        )
    table.add_row("CPU of both workers", f"{1e6 * told.cpu / told.recipients:.0f} us a recipient")
    table.add_row("most memory of each process", ", ".join(f"{one:.0f}" for one in told.memory) + " MB")
    table.add_row(
        "a small query, p95", f"{told.busy:.1f} ms; idle {told.idle:.1f} ms; ratio {told.busy / told.idle:.1f}"
    )
    Console().print(table)


def main() -> None:
    """Run on servers of its own."""
    given = [int(one) for one in sys.argv[1:]]
    million, simulated = given + [MILLION, SIMULATED][len(given) :]
    with ground(REPLYHQ_OUTBOUND_ALLOW_LOOPBACK="true", REPLYHQ_LOG_LEVEL="WARNING"):
        found = asyncio.run(run(million, simulated))
    for told, title in zip(found, ("a push provider that costs nothing", "FCM simulated over HTTP"), strict=True):
        show(told, title)


if __name__ == "__main__":
    main()
