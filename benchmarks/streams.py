"""What it costs that events are numbered: changes a second of a small transaction, by how its stream is shared.

Every writer of one stream waits for the commit before it, so one stream has as many changes a second as the disk has
commits; those of several streams are committed together.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from rich.console import Console
from rich.table import Table

from benchmarks.ground import ground

WRITERS = 16
CHANGES = 600
ROUNDS = 5
Streams = Callable[[int], Sequence[str]]
WAYS: dict[str, Streams] = {
    "no stream": lambda _no: (),
    "a stream each": lambda no: (f"thing:{no % WRITERS}",),
    "four streams": lambda no: (f"thing:{no % 4}",),
    "a stream each and one for all": lambda no: (f"thing:{no % WRITERS}", "all:1"),
    "one stream": lambda _no: ("all:1",),
}


async def rate(app_id: UUID, streams: Streams, writers: int) -> float:
    """Changes a second: each a transaction that records one fact."""
    from core.database import transaction
    from core.ids import new_id
    from domain import facts
    from domain.principals import SYSTEM
    from models.contacts import Contact
    from models.facts import FactKind

    left = list(range(CHANGES))

    async def write() -> None:
        while left:
            streams_of = streams(left.pop())
            async with transaction() as session:
                thing = Contact(id=new_id(), app_id=app_id)
                facts.record(session, SYSTEM, FactKind.CONTACT_UPDATED, thing, streams=streams_of)

    start = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(writers)))
    return CHANGES / (time.perf_counter() - start)


async def measure(writers: int) -> dict[str, float]:
    """The median of each way, measured in turn."""
    from statistics import median

    from core.database import dispose
    from tests.support import factories

    team = await factories.team()
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way, streams in WAYS.items():
            found[way].append(await rate(team.app_id, streams, writers))
    await dispose()
    return {way: median(rates) for way, rates in found.items()}


def main() -> None:
    """Run on servers of its own, which write to the disk as in production."""
    table = Table("a fact in", "1 writer: changes/s", "ratio", f"{WRITERS} writers: changes/s", "ratio")
    with ground():
        alone, together = asyncio.run(measure(1)), asyncio.run(measure(WRITERS))
    for way in WAYS:
        rates = [(found[way], found[way] / found["no stream"]) for found in (alone, together)]
        table.add_row(way, *(text for rate_, ratio in rates for text in (f"{rate_:,.0f}", f"{ratio:.2f}")))
    Console().print(table)


if __name__ == "__main__":
    main()
