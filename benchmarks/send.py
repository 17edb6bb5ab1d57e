"""How fast a broadcast is sent, beside the least that PostgreSQL must do with the same rows, in one process.

In-app, beside two statements; and by push with a provider that costs nothing, beside the update alone.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from benchmarks.ground import ground
from channels.base import Outcome, Outgoing, Recovery, Taken
from core.database import dispose, transaction

RECIPIENTS = 20_000
ROUNDS = 3
WORKERS = 4
TOKENS = "UPDATE devices SET push_token = id::text WHERE app_id = :app"
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


class Free:
    """A provider that takes everything at once."""

    recovery = Recovery.BLIND

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Take it."""
        return [Outcome(one.key, Taken()) for one in batch]


async def baseline(broadcast_id: UUID, app_id: UUID, round_: int, *, stored: bool) -> None:
    """The same rows, in two statements; in one when nothing is `stored`."""
    async with transaction() as session:
        await session.execute(sa.text(MARK), {"id": broadcast_id})
        if not stored:
            return
        await session.execute(sa.text(STORE), {"id": broadcast_id, "app": app_id, "round": round_})


async def measure(**fields: Any) -> list[tuple[float, float]]:
    """Seconds of the sending of a broadcast with `fields` and of the baseline, round by round."""
    from tests.support import factories

    team = await factories.team()
    await factories.contacts(team.app_id, RECIPIENTS)
    async with transaction() as session:
        await session.execute(sa.text(TOKENS), {"app": team.app_id})
    stored, found = "channels" not in fields, []
    for round_ in range(ROUNDS):
        ours, plain = (await factories.expanded(team, **fields)).id, (await factories.expanded(team, **fields)).id
        sending = await seconds(lambda id_=ours: send(id_))
        rows = await seconds(lambda id_=plain, no=round_: baseline(id_, team.app_id, no, stored=stored))
        found.append((sending, rows))
    return found


async def measure_both() -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """In-app, and by push."""
    from jobs import sending
    from jobs.channels import Line
    from models.channel_accounts import ChannelProvider

    async def lines(_app_id: UUID) -> dict[ChannelProvider, Line]:
        return dict.fromkeys(ChannelProvider, Line(Free()))

    in_app = await measure()
    sending.lines = lines
    pushed = await measure(channels=["PUSH"])
    await dispose()
    return in_app, pushed


def show(found: list[tuple[float, float]], title: str) -> None:
    """The figures as a table."""
    table = Table(
        "round", "sending", "recipients/s", "baseline", "part of its speed", title=f"{RECIPIENTS:,} recipients, {title}"
    )
    for no, (ours, plain) in enumerate(found, start=1):
        table.add_row(str(no), f"{ours:.2f} s", f"{RECIPIENTS / ours:,.0f}", f"{plain:.2f} s", f"{plain / ours:.2f}")
    Console().print(table)


def main() -> None:
    """Run on servers of its own."""
    with ground():
        in_app, pushed = asyncio.run(measure_both())
    show(in_app, "in-app")
    show(pushed, "push, a provider that costs nothing")


if __name__ == "__main__":
    main()
