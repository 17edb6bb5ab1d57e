"""What the rate limits cost: requests/s of a small query with them, and without."""

import asyncio
import statistics

from rich.console import Console
from rich.table import Table

from benchmarks.auth import Driver
from benchmarks.ground import ground

ROUNDS = 11
ENOUGH = str(10**9)


async def measure() -> list[tuple[float, float]]:
    """Requests/s with the limits and without, in turn."""
    import sqlalchemy as sa

    from core.database import dispose, transaction
    from domain.auth import authenticate
    from domain.rate_limits import spend_request
    from models.contacts import Contact
    from server.app import assemble
    from server.graphql.rate_limits import unlimited
    from server.graphql.schema import schema
    from server.graphql.view import GraphQLView
    from tests.support import factories

    team = await factories.team()
    await factories.contacts(team.app_id, 1)
    async with transaction() as session:
        contact_id = str(await session.scalar(sa.select(Contact.id).where(Contact.app_id == team.app_id)))
    limited, free = (
        Driver(assemble(GraphQLView(schema(), authenticate=authenticate, spend=spend)), team.token, contact_id)
        for spend in (spend_request, unlimited)
    )
    await asyncio.gather(limited.rate(), free.rate())
    found = [(await limited.rate(), await free.rate()) for _ in range(ROUNDS)]
    await dispose()
    return found


def show(found: list[tuple[float, float]]) -> None:
    """The figures as a table, and the share that the limits take."""
    table = Table("round", "limited", "unlimited", "share of the limits", title="A small query, requests/s")
    shares = [1 - limited / free for limited, free in found]
    for no, ((limited, free), share) in enumerate(zip(found, shares, strict=True), start=1):
        table.add_row(str(no), f"{limited:,.0f}", f"{free:,.0f}", f"{share:.1%}")
    console = Console()
    console.print(table)
    console.print(f"Median share: {statistics.median(shares):.1%}")


def main() -> None:
    """Run on servers of its own."""
    with ground(REPLYHQ_RATE_USER_PER_MINUTE=ENOUGH, REPLYHQ_RATE_APP_PER_MINUTE=ENOUGH):
        show(asyncio.run(measure()))


if __name__ == "__main__":
    main()
