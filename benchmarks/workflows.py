"""What a step of a workflow costs: alone, with others, and many at once, beside the least that PostgreSQL must do.

In one process, while 1,000 other executions wait. The least: a row is ended, and its successor written, in one
transaction for each step.
"""

import asyncio
import sys
import time
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from benchmarks.ground import ground
from core.database import dispose, transaction
from core.ids import new_id

NODES, ALONE = 10, 50
MANY, WAITING = 500, 1_000
STEADY_SECONDS = 20
SHARE = 0.5
"""Of what one process can do, for steps that come steadily."""
AT_ONCE = 16
BARE = (
    "CREATE TABLE bare_steps (id uuid PRIMARY KEY, execution_id uuid, node_id int, ended_at timestamptz,"
    " UNIQUE (execution_id, node_id))"
)
END = "UPDATE bare_steps SET ended_at = now() WHERE execution_id = :execution_id AND node_id = :no"
BEGIN = "INSERT INTO bare_steps VALUES (:id, :execution_id, :no, NULL)"
TAKEN = sa.text("""
    SELECT percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY 1000 * extract(epoch FROM ended_at - created_at))
    FROM workflow_steps WHERE workflow_id = :id AND created_at > :since
""")


def chain() -> dict[str, Any]:
    """Ten steps, one after the other: what changes the contact, and what tracks an event."""
    from tests.support.workflows import node, of

    names = [f"n{no}" for no in range(NODES)]
    tags, events = (
        (node(one, "add_tag", tag=one) for one in names),
        (node(one, "track_event", event_name=one) for one in names),
    )
    nodes = [(tag, event)[no % 2] for no, (tag, event) in enumerate(zip(tags, events, strict=True))]
    return of(*nodes, edges=" ".join(f"n{no}-n{no + 1}" for no in range(NODES - 1)), reentry="ALWAYS")


async def bare(count: int) -> float:
    """Seconds for the least of it."""
    waiting = [new_id() for _ in range(count)]

    async def follow() -> None:
        while waiting:
            execution_id = waiting.pop()
            for no in range(NODES):
                async with transaction() as session:
                    values: dict[str, Any] = {"id": new_id(), "execution_id": execution_id, "no": no}
                    await session.execute(sa.text(END), values)
                    await session.execute(sa.text(BEGIN), values | {"no": no + 1})

    start = time.perf_counter()
    await asyncio.gather(*(follow() for _ in range(AT_ONCE)))
    return time.perf_counter() - start


async def enter(team: Any, contact_ids: list[UUID], name: str = "user_signup") -> None:
    """An event of all of them."""
    from domain import events
    from domain.events import EventFields
    from jobs import workflows as jobs
    from tests.support import factories

    told = [
        EventFields(contact_id=one, user_id=None, name=name, properties=None, occurred_at=None, key=None)
        for one in contact_ids
    ]
    for first in range(0, len(told), 1_000):
        async with transaction() as session:
            await events.track_all(session, factories.principal(team), told[first : first + 1_000])
    await jobs.take_all()


async def steadily(team: Any, contact_ids: list[UUID], rate: float) -> None:
    """One after the other enters, so that `rate` steps a second become due, for some seconds."""
    from jobs import workflows as jobs

    pause, going = NODES / rate, set()
    for no in range(round(STEADY_SECONDS / pause)):
        await enter(team, [contact_ids[no % len(contact_ids)]])
        going.add(asyncio.create_task(jobs.run_due()))
        await asyncio.sleep(pause)
    await asyncio.gather(*going)


async def percentiles(workflow_id: UUID, since: Any) -> tuple[float, float]:
    """Milliseconds that steps took from being reached to their end: the median and the 95th percentile."""
    async with transaction() as session:
        median, most = await session.scalar(TAKEN, {"id": workflow_id, "since": since})
    return median, most


async def people(team: Any, count: int) -> list[UUID]:
    """The ids of `count` new contacts."""
    from models.devices import Device
    from tests.support import factories

    devices = await factories.contacts(team.app_id, count)
    async with transaction() as session:
        return list(await session.scalars(sa.select(Device.contact_id).where(Device.id.in_(devices))))


async def wait(team: Any, contact_ids: list[UUID]) -> None:
    """All of them wait in a workflow of their own."""
    from jobs import workflows as jobs
    from tests.support.executions import active
    from tests.support.workflows import node, of

    waits = of(node("wait", duration="30d"), trigger={"type": "event", "event_name": "waits"})
    await active(team, waits, "Waiting")
    await enter(team, contact_ids, "waits")
    await jobs.run_due()


async def measure(many: int) -> dict[str, Any]:
    """Some executions alone, then many at once, then some steadily, then the least."""
    from core.clock import now
    from jobs import workflows as jobs
    from tests.support import factories
    from tests.support.executions import active

    team = await factories.team()
    contact_ids = await people(team, max(many, WAITING))
    await wait(team, contact_ids[:WAITING])
    workflow = await active(team, chain())
    since = now()
    for one in contact_ids[:ALONE]:
        await enter(team, [one])
        await jobs.run_due()
    alone = await percentiles(workflow.id, since)
    await enter(team, contact_ids[:many])
    start = time.perf_counter()
    await jobs.run_due()
    loaded = time.perf_counter() - start
    since = now()
    await steadily(team, contact_ids, SHARE * many * NODES / loaded)
    steady = await percentiles(workflow.id, since)
    least = await bare(many)
    await dispose()
    return {"alone": alone, "steady": steady, "loaded": loaded, "least": least}


def show(found: dict[str, Any], many: int) -> None:
    """The figures as a table."""
    steps = many * NODES
    table = Table("steps of a workflow", "", title=f"{NODES} steps each, one process, {WAITING:,} executions wait")
    for name, load in (("alone", "alone"), ("steady", f"{SHARE:.0%} of what it can do")):
        table.add_row(f"{load}: median, 95th percentile", "{:.1f} ms, {:.1f} ms".format(*found[name]))
    table.add_row(f"{many:,} executions at once", f"{steps / found['loaded']:,.0f} steps/s")
    table.add_row("the least, as many at once", f"{steps / found['least']:,.0f} steps/s")
    table.add_row("ratio", f"{found['least'] / found['loaded']:.2f}")
    Console().print(table)


def main() -> None:
    """Run on servers of its own. An argument is how many executions there are at once."""
    many = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    with ground():
        _prepare()
        show(asyncio.run(measure(many)), many)


def _prepare() -> None:
    """A table for the least of it, which the role of the service may use."""
    from core.database import connect

    async def make() -> None:
        engine = connect({}, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(sa.text(BARE))
            await connection.execute(sa.text("GRANT ALL ON bare_steps TO replyhq_service"))
        await engine.dispose()

    asyncio.run(make())


if __name__ == "__main__":
    main()
