"""What the proof of who asks costs: requests/s of a small query with it, and with it answered from memory."""

import asyncio
import json
import statistics
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.ground import ground

ROUNDS = 11
SECONDS = 1.0
AT_ONCE = 16
QUERY = "query Small($id: ID!) { contact(id: $id) { id name } }"


class Driver:
    """Asks one ASGI application, without a network between, so that nothing hides what is measured."""

    def __init__(self, app: Any, token: str, contact_id: str) -> None:
        self._app = app
        self._body = json.dumps({"query": QUERY, "variables": {"id": contact_id}}).encode()
        self._headers = [
            (b"content-type", b"application/json"),
            (b"authorization", f"Bearer {token}".encode()),
            (b"host", b"localhost"),
        ]

    async def rate(self) -> float:
        """Requests/s, sixteen at once."""
        self._count, self._end = 0, time.perf_counter() + SECONDS
        start = time.perf_counter()
        await asyncio.gather(*(self._keep_asking() for _ in range(AT_ONCE)))
        return self._count / (time.perf_counter() - start)

    async def _keep_asking(self) -> None:
        while time.perf_counter() < self._end:
            await self.ask()
            self._count += 1

    async def ask(self) -> None:
        """One request; fails unless it is answered with data."""
        messages: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": self._body}

        async def send(message: dict[str, Any]) -> None:
            messages.append(message)

        scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "headers": self._headers}
        await self._app(scope | {"client": ("127.0.0.1", 1), "scheme": "http"}, receive, send)
        if b'"contact":{' not in messages[1]["body"]:
            raise RuntimeError(messages[1]["body"].decode())


async def measure() -> list[tuple[float, float]]:
    """Requests/s with the proof and without, in turn."""
    import sqlalchemy as sa

    from core.database import dispose, transaction
    from domain.auth import authenticate
    from models.contacts import Contact
    from server.app import assemble
    from server.graphql.schema import schema
    from server.graphql.view import GraphQLView
    from tests.support import factories

    team = await factories.team()
    await factories.contacts(team.app_id, 1)
    async with transaction() as session:
        contact_id = str(await session.scalar(sa.select(Contact.id).where(Contact.app_id == team.app_id)))
    known = await authenticate(team.token)

    async def remember(_token: str) -> Any:
        return known

    proving, knowing = (
        Driver(assemble(GraphQLView(schema(), authenticate=prove)), team.token, contact_id)
        for prove in (authenticate, remember)
    )
    await asyncio.gather(proving.rate(), knowing.rate())
    found = [(await proving.rate(), await knowing.rate()) for _ in range(ROUNDS)]
    await dispose()
    return found


def show(found: list[tuple[float, float]]) -> None:
    """The figures as a table, and the share that the proof takes."""
    table = Table("round", "with the proof", "known before", "share of the proof", title="A small query, requests/s")
    shares = [1 - proving / knowing for proving, knowing in found]
    for no, ((proving, knowing), share) in enumerate(zip(found, shares, strict=True), start=1):
        table.add_row(str(no), f"{proving:,.0f}", f"{knowing:,.0f}", f"{share:.1%}")
    console = Console()
    console.print(table)
    console.print(f"Median share: {statistics.median(shares):.1%}")


def main() -> None:
    """Run on servers of its own; no limit of requests."""
    with ground():
        show(asyncio.run(measure()))


if __name__ == "__main__":
    main()
