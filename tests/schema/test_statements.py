"""How many SQL statements a list costs does not depend on how long it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from graphql import get_named_type

from core.clock import now
from core.database import engine, transaction
from domain.broadcasts import expansion
from models.broadcasts import Broadcast, BroadcastStatus
from schema.context import Context
from server.graphql.schema import schema
from tests.schema.roots import roots
from tests.support import factories
from tests.support.factories import Team

LISTS = {
    "contacts": "{ list: contacts(first: 100) { totalCount nodes { name devices { platform } } } }",
    "broadcasts": """{ list: broadcasts(first: 100) { totalCount nodes {
        title stats { totalRecipients totalSent totalOpened } createdBy { name } } } }""",
    "broadcastRecipients": """query($id: ID!) { list: broadcastRecipients(broadcastId: $id, first: 100) {
        totalCount nodes { seq contact { name devices { platform } } device { platform } } } }""",
}


def test_every_list_is_counted() -> None:
    lists = {root.name for root in roots("query") if get_named_type(root.field.type).name.endswith("Connection")}
    assert set(LISTS) == lists


@pytest.mark.parametrize("name", LISTS)
async def test_a_long_list_costs_as_many_statements_as_a_short_one(name: str) -> None:
    short, long = await things(3), await things(60)
    few, many = await statements(name, *short, rows=3), await statements(name, *long, rows=60)
    assert len(many) == len(few), many


async def things(count: int) -> tuple[Team, Broadcast]:
    """An app with as many contacts with devices, broadcasts of somebody, and recipients of one of them."""
    team = await factories.team()
    await factories.contacts(team.app_id, count)
    made = {"created_by_id": team.user_id, "status": BroadcastStatus.SENDING, "sent_at": now()}
    rows = [await factories.broadcast(team, **made) for _ in range(count)]
    async with transaction() as session:
        await expansion.expand_slice(session, rows[0].id)
    return team, rows[0]


async def statements(name: str, team: Team, broadcast: Broadcast, rows: int) -> list[str]:
    """What goes to the database for a list of `rows` rows."""
    variables = {"id": str(broadcast.id)} if "$id" in LISTS[name] else {}
    context = Context(principal=factories.principal(team))
    with recorded() as seen:
        result = await schema().execute(LISTS[name], variables, context_value=context)
    assert result.errors is None
    assert (result.data["list"]["totalCount"], len(result.data["list"]["nodes"])) == (rows, rows)
    return seen


@contextmanager
def recorded() -> Iterator[list[str]]:
    """The statements that this process sends meanwhile."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    sa.event.listen(engine().sync_engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(engine().sync_engine, "before_cursor_execute", note)
