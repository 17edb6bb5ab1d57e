"""What the numbers of a broadcast cost: beside one of ten thousand recipients, one of a million, and of ten million."""

import asyncio
import sys
import time
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.ground import ground, milliseconds
from core.config import config
from core.database import connect, dispose, transaction

SIZES = (10_000, 1_000_000, 10_000_000)
ROUNDS = 50
AT_ONCE = 500_000
FILL = """
INSERT INTO broadcast_recipients (broadcast_id, seq, device_id, contact_id, platform, country, status, error_code,
  variant, sent_at, delivered_at, opened_at, clicked_at)
SELECT :id, seq, CAST(lpad(to_hex(seq), 32, '0') AS uuid), CAST(lpad(to_hex(seq), 32, '0') AS uuid),
  (ARRAY['IOS','ANDROID','WEB'])[1 + seq % 3],
  (ARRAY['DE','FR','GB','US','ES','IT','PT','NL','PL','SE','IN','BR','JP','AU',NULL])[1 + seq % 15],
  CASE became WHEN 0 THEN 'CLICKED' WHEN 1 THEN 'OPENED' WHEN 2 THEN 'OPENED' WHEN 97 THEN 'SKIPPED' ELSE 'SENT' END,
  CASE became WHEN 97 THEN 'OPTED_OUT' END, seq % 2,
  CASE WHEN became <> 97 THEN at END, CASE WHEN became < 3 THEN at END, CASE WHEN became < 3 THEN at END,
  CASE WHEN became = 0 THEN at END
FROM (SELECT seq, (seq / 7) % 100 AS became, timestamptz '2026-07-01' + (seq % 10080) * interval '1 minute' AS at
  FROM generate_series(CAST(:lo AS int), CAST(:hi AS int)) AS seq) AS drawn
"""
FAIL = """
UPDATE broadcast_recipients SET status = 'FAILED', error_code = 'UNREGISTERED', sent_at = NULL, delivered_at = NULL,
  opened_at = NULL, clicked_at = NULL
WHERE broadcast_id = :id AND seq = ANY(CAST(:seqs AS int[]))
"""
CHUNKS = """
INSERT INTO broadcast_chunks (broadcast_id, no, lo_seq, hi_seq, status)
SELECT :id, no, (no - 1) * :size + 1, least(no * :size, :total), 'DONE'
FROM generate_series(1, CAST(ceil(CAST(:total AS numeric) / :size) AS int)) AS no
"""
SPREAD = """
WITH whole AS (DELETE FROM broadcast_rollups WHERE broadcast_id = :id RETURNING *)
INSERT INTO broadcast_rollups (broadcast_id, shard, measure, dimension, variant, bucket, count)
SELECT broadcast_id, of, measure, dimension, variant, bucket, count / 16 + CASE WHEN of < count % 16 THEN 1 ELSE 0 END
FROM whole, generate_series(0, least(15, count - 1)) AS of
"""
TALLIES = "INSERT INTO broadcast_tallies (broadcast_id, shard) SELECT :id, shard FROM generate_series(0, 15) AS shard"


@dataclass(frozen=True)
class Taken:
    """Of one broadcast: seconds of the recount; milliseconds of its numbers, and of its three failed recipients."""

    recipients: int
    recount: float
    numbers: float
    failed: float


async def fill(broadcast_id: UUID, recipients: int) -> None:
    """Recipients that all have a result; three failed, in the first and the last chunk. Counted by nothing yet."""
    ends = [(lo, min(lo + AT_ONCE - 1, recipients)) for lo in range(1, recipients + 1, AT_ONCE)]
    for lo, hi in track(ends, f"Writing {recipients:,} recipients", console=Console(stderr=True), transient=True):
        await execute(FILL, id=broadcast_id, lo=lo, hi=hi)
    await execute(FAIL, id=broadcast_id, seqs=[7, recipients - 1, recipients])
    await execute(CHUNKS, id=broadcast_id, total=recipients, size=config().chunk_size)
    await execute(TALLIES, id=broadcast_id)


async def execute(statement: str, **parameters: object) -> None:
    """In a transaction of its own, however long it takes."""
    async with transaction() as session:
        await session.execute(sa.text("SET LOCAL statement_timeout = 0"))
        await session.execute(sa.text(statement), parameters)


async def vacuum() -> None:
    """As autovacuum would, a little later."""
    engine = connect({}, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for table in ("recipients", "chunks", "tallies", "rollups"):
            await connection.execute(sa.text(f"VACUUM (ANALYZE) broadcast_{table}"))
    await engine.dispose()


async def measure(sizes: tuple[int, ...]) -> list[Taken]:
    """One app with a broadcast of each size."""
    from core.clock import now
    from domain.broadcasts import recounting
    from models.broadcasts import BroadcastStatus
    from tests.support import factories

    team, made = await factories.team(), []
    texts = [{"name": name, "title": name, "body": name, "weight": 1} for name in "AB"]
    for size in sizes:
        ended = {"status": BroadcastStatus.SENT, "expanded_at": now(), "total_recipients": size, "variants": texts}
        broadcast = await factories.broadcast(team, **ended)
        await fill(broadcast.id, size)
        made.append((broadcast.id, size))
    await vacuum()
    recounts = []
    for broadcast_id, _ in made:
        start = time.perf_counter()
        async with transaction() as session:
            await recounting.recount(session, broadcast_id, mend=True)
        recounts.append(time.perf_counter() - start)
        await execute(SPREAD, id=broadcast_id)  # as many rows as reports make
    await vacuum()
    found = [
        Taken(size, recount, *await read(team.app_id, broadcast_id))
        for (broadcast_id, size), recount in zip(made, recounts, strict=True)
    ]
    await dispose()
    return found


async def read(app_id: UUID, broadcast_id: UUID) -> tuple[float, float]:
    """Milliseconds of the numbers as GraphQL has them, and of a page of those that failed."""
    from domain.broadcasts import analytics, queries, recipients
    from domain.pages import PageRequest
    from models.broadcasts import RecipientStatus

    async def numbers() -> None:
        async with transaction() as session:
            await analytics.read(session, app_id, broadcast_id, "Asia/Kolkata")

    async def failed() -> None:
        async with transaction() as session:
            broadcast = await queries.get(session, app_id, broadcast_id)
            wanted = recipients.Filter(RecipientStatus.FAILED)
            await recipients.listed(session, broadcast, PageRequest(), wanted)

    return await milliseconds(numbers, ROUNDS), await milliseconds(failed, ROUNDS)


def show(found: list[Taken]) -> None:
    """The figures as a table; the ratios are to the smallest broadcast."""
    first = found[0]
    table = Table("recipients", "broadcastAnalytics", "ratio", "its 3 failed", "ratio", "recount --mend")
    for one in found:
        ratios = f"{one.numbers / first.numbers:.2f}", f"{one.failed / first.failed:.2f}"
        times = f"{one.numbers:.1f} ms", f"{one.failed:.1f} ms", f"{one.recount:.1f} s"
        table.add_row(f"{one.recipients:,}", times[0], ratios[0], times[1], ratios[1], times[2])
    Console().print(table)


def main() -> None:
    """Run on servers of its own. An argument is the size of the largest broadcast."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES[-1]
    with ground():
        show(asyncio.run(measure((*(size for size in SIZES if size < most), most))))


if __name__ == "__main__":
    main()
