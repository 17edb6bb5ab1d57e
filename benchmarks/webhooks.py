"""10,000 webhooks to 20 endpoints, one of which is dead, beside a bare aiohttp client that posts the same bytes.

The endpoints are in a process of their own. Then what it costs a transaction that anybody could want to know of it.
"""

import asyncio
import multiprocessing
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import aiohttp
from rich.console import Console

from benchmarks.ground import ground, milliseconds

ENDPOINTS = 20
EVENTS = int(sys.argv[1]) // ENDPOINTS if sys.argv[1:] else 500
ROUNDS = 3
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def _receive(told: Connection) -> None:
    """A server that takes everything, and one that never answers."""

    async def takes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.split(b":")[1]))
                writer.write(OK)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def is_dead(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    servers = [await asyncio.start_server(one, "127.0.0.1", 0) for one in (takes, is_dead)]
    told.send([server.sockets[0].getsockname()[1] for server in servers])
    await asyncio.Event().wait()


def _serve(told: Connection) -> None:
    asyncio.run(_receive(told))


@contextmanager
def endpoints() -> Iterator[list[str]]:
    """Their URLs, the dead one last."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
    process.start()
    alive, dead = here.recv()
    try:
        yield [*(f"http://127.0.0.1:{alive}/{no}" for no in range(ENDPOINTS - 1)), f"http://127.0.0.1:{dead}/"]
    finally:
        process.terminate()


async def _app(urls: list[str]) -> "object":
    """An app with these webhooks."""
    from core.database import transaction
    from core.ids import new_id
    from domain import apps
    from domain.webhooks import signing, standing
    from models.webhooks import Webhook, WebhookEventType

    async with transaction() as session:
        email = f"{new_id()}@example.com"
        member = await apps.create(session, name="Acme", email=email, password="correct horse", owner_name="Ada")  # noqa: S106
        for url in urls:
            told = [WebhookEventType.CONTACT_CREATED.value]
            row = Webhook(id=new_id(), app_id=member.app_id, url=url, event_types=told)
            row.secret = standing.close(row, "secret", signing.new_secret())
            session.add(row)
    return member.app_id


async def _happens(app_id: object) -> None:
    from core.database import transaction
    from domain import bulk

    async with transaction() as session:
        await bulk.add_contacts(session, app_id, [{"name": f"User {no}"} for no in range(EVENTS)])  # type: ignore[arg-type]


async def _delivered(app_id: object) -> int:
    import sqlalchemy as sa

    from core.database import transaction
    from models.webhooks import DeliveryStatus, WebhookDelivery

    async with transaction() as session:
        taken = sa.and_(WebhookDelivery.app_id == app_id, WebhookDelivery.status == DeliveryStatus.DELIVERED)
        return await session.scalar(sa.select(sa.func.count()).where(taken)) or 0


async def through(urls: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds until all but the dead one have everything."""
    from jobs.webhooks import deliver_due

    app_id = await _app(urls)
    await _happens(app_id)
    began, used = time.perf_counter(), time.process_time()
    working = asyncio.create_task(deliver_due())
    while await _delivered(app_id) < EVENTS * (ENDPOINTS - 1):  # noqa: ASYNC110 - a database tells nobody
        await asyncio.sleep(0.1)
    found = time.perf_counter() - began, time.process_time() - used
    await working
    return found


async def bare(urls: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of a client that posts as many bytes to the same endpoints, ten to each at a time."""
    body = b'{"data":"' + b"x" * 700 + b'"}'
    timeout = aiohttp.ClientTimeout(total=10)

    async def post(session: aiohttp.ClientSession, url: str, count: int) -> None:
        for _ in range(count):
            async with session.post(url, data=body) as response:
                await response.read()

    began, used = time.perf_counter(), time.process_time()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        await asyncio.gather(*(post(session, url, EVENTS // 10) for url in urls[:-1] for _ in range(10)))
    return time.perf_counter() - began, time.process_time() - used


async def commits() -> dict[str, float]:
    """Median milliseconds of a transaction that creates a contact, by what it is told to."""
    from core.database import transaction
    from core.ids import new_id
    from domain import bulk
    from domain.webhook_events import writing

    def creating(app_id: object) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            async with transaction() as session:
                await bulk.add_contacts(session, app_id, [{"name": str(new_id())}])  # type: ignore[arg-type]

        return work

    nobody, one = await _app([]), await _app(["https://hooks.invalid/"])
    look = writing._wait  # noqa: SLF001
    found: dict[str, list[float]] = {"without looking": [], "nobody wants to know": [], "one webhook": []}
    for _ in range(ROUNDS):
        writing._wait = lambda *_: None  # noqa: SLF001
        found["without looking"].append(await milliseconds(creating(nobody), 200))
        writing._wait = look  # noqa: SLF001
        found["nobody wants to know"].append(await milliseconds(creating(nobody), 200))
        found["one webhook"].append(await milliseconds(creating(one), 200))
    return {name: min(times) for name, times in found.items()}


async def measure(urls: list[str], console: Console) -> None:
    """Print what is found."""
    from jobs.channels import http

    count = EVENTS * (ENDPOINTS - 1)
    ratios = []
    for no in range(ROUNDS):
        (bare_wall, bare_cpu), (wall, cpu) = await bare(urls), await through(urls)
        ratios.append(bare_wall / wall)
        console.print(
            f"round {no + 1}: bare {count / bare_wall:,.0f}/s, {1e6 * bare_cpu / count:.0f} µs CPU each;"
            f" webhooks {count / wall:,.0f}/s, {1e6 * cpu / count:.0f} µs; ratio {ratios[-1]:.2f}"
        )
    console.print(f"{EVENTS * ENDPOINTS:,} deliveries, one of {ENDPOINTS} endpoints dead: best ratio {max(ratios):.2f}")
    await http().close()
    for name, time_ in (await commits()).items():
        console.print(f"a transaction that creates a contact, {name}: {time_:.2f} ms")


def main() -> None:
    """Run beside servers and endpoints of its own."""
    with endpoints() as urls, ground(REPLYHQ_OUTBOUND_ALLOW_LOOPBACK="true"):
        asyncio.run(measure(urls, Console()))


if __name__ == "__main__":
    main()
