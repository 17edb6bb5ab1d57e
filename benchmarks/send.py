"""How fast a broadcast is sent in-app, beside the least PostgreSQL must do: two statements over the same rows."""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
import structlog
from rich.console import Console
from rich.table import Table

from core.database import dispose, transaction
from core.embedded import EmbeddedServers, erase
from server.migrate import upgrade

RECIPIENTS = 20_000
ROUNDS = 3
WORKERS = 4
MARK = "UPDATE broadcast_recipients SET status = 'SENT', sent_at = now() WHERE broadcast_id = :id"
STORE = """
INSERT INTO in_app_messages (id, app_id, device_id, sequence, key, title, body, created_at)
SELECT gen_random_uuid(), :app, device_id, 1000000000 + :round, 'key-' || seq, 'Hello', 'World', now()
FROM broadcast_recipients WHERE broadcast_id = :id
"""


async def seconds(work: Callable[[], Awaitable[None]]) -> float:
    """Wall seconds of `work`."""
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


async def send(broadcast_id: UUID) -> None:
    """Send all chunks, four at a time, as one worker process does."""
    from jobs.broadcasts import work_chunk
    from models.broadcasts import BroadcastChunk

    async with transaction() as session:
        of_it = BroadcastChunk.broadcast_id == broadcast_id
        waiting = list(await session.scalars(sa.select(BroadcastChunk.no).where(of_it)))

    async def work() -> None:
        while waiting:
            await work_chunk(broadcast_id, waiting.pop())

    await asyncio.gather(*(work() for _ in range(WORKERS)))


async def baseline(broadcast_id: UUID, app_id: UUID, round_: int) -> None:
    """The same rows, in two statements."""
    async with transaction() as session:
        await session.execute(sa.text(MARK), {"id": broadcast_id})
        await session.execute(sa.text(STORE), {"id": broadcast_id, "app": app_id, "round": round_})


async def measure() -> list[tuple[float, float]]:
    """Seconds of the sending and of the baseline, round by round."""
    from tests.support import factories

    team = await factories.team()
    await factories.contacts(team.app_id, RECIPIENTS)
    found = []
    for round_ in range(ROUNDS):
        ours, plain = (await factories.expanded(team)).id, (await factories.expanded(team)).id
        found.append(
            (
                await seconds(lambda id_=ours: send(id_)),
                await seconds(lambda id_=plain, no=round_: baseline(id_, team.app_id, no)),
            )
        )
    await dispose()
    return found


def show(found: list[tuple[float, float]]) -> None:
    """The figures as a table."""
    table = Table(
        "round", "sending", "recipients/s", "two statements", "ratio", title=f"{RECIPIENTS:,} recipients, in-app"
    )
    for no, (ours, plain) in enumerate(found, start=1):
        table.add_row(str(no), f"{ours:.2f} s", f"{RECIPIENTS / ours:,.0f}", f"{plain:.2f} s", f"{ours / plain:.1f}")
    Console().print(table)


def main() -> None:
    """Run on servers of its own, flushed to disk as in production."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory() as folder:
        servers = EmbeddedServers(Path(folder) / "state")
        urls = servers.start()
        os.environ |= {"DATABASE_URL": urls.database_url, "REDIS_URL": urls.redis_url, "REPLYHQ_SECRET_KEY": "x" * 32}
        try:
            upgrade()
            show(asyncio.run(measure()))
        finally:
            servers.stop()
            erase(Path(folder) / "state")


if __name__ == "__main__":
    main()
