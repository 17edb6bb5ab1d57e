"""The list of broadcasts as it lives: the state, each change, and going on after having been away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa

from core.database import transaction
from domain.broadcasts import queries
from domain.principals import SYSTEM
from models.broadcasts import Broadcast
from models.facts import FactKind
from models.streams import Stream, StreamEvent
from models.team import Role
from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import Graph, Socket
from tests.test_broadcasts import create

CHANGED = """subscription($after: String) { broadcastChanged(after: $after) { __typename
  ... on StreamEvent { cursor sequence occurredAt }
  ... on BroadcastsSnapshot { broadcasts { id status } }
  ... on BroadcastChange { action actor entityId broadcast { id status title } } } }"""
UPDATE = """mutation($input: UpdateBroadcastInput!) {
  updateBroadcast(input: $input) { broadcast { id } userErrors { code message } } }"""
DELETE = """mutation($input: BroadcastInput!) {
  deleteBroadcast(input: $input) { userErrors { code message } } }"""


async def record(row: Broadcast, count: int = 1, kind: FactKind = FactKind.BROADCAST_UPDATED) -> None:
    for _ in range(count):
        async with transaction() as session:
            queries.record(session, SYSTEM, kind, row)


async def next_of(socket: Socket) -> dict[str, Any]:
    message = await socket.receive()
    assert message["type"] == "next", message
    assert "errors" not in message["payload"], message
    return message["payload"]["data"]["broadcastChanged"]


@asynccontextmanager
async def watching(graph: Graph, after: str | None = None) -> AsyncIterator[Socket]:
    async with graph.connect() as socket:
        await socket.start(CHANGED, after=after)
        yield socket


async def test_the_state_comes_first_then_each_change(graph: Graph, team: Team) -> None:
    first = await create(graph)
    async with watching(graph) as socket:
        seen = await next_of(socket)
        assert (seen["__typename"], seen["sequence"]) == ("BroadcastsSnapshot", 1)
        assert seen["broadcasts"] == [{"id": first, "status": "DRAFT"}]
        await graph.change(UPDATE, id=first, title="Bye")
        seen = await next_of(socket)
        assert (seen["__typename"], seen["sequence"], seen["action"]) == ("BroadcastChange", 2, "broadcast.updated")
        assert seen["broadcast"] == {"id": first, "status": "DRAFT", "title": "Bye"}
        assert seen["actor"] == f"user:{team.user_id}"
        await graph.change(DELETE, id=first)
        seen = await next_of(socket)
        assert (seen["action"], seen["entityId"], seen["broadcast"]) == ("broadcast.deleted", first, None)


async def test_who_comes_back_goes_on_behind_their_cursor(graph: Graph, team: Team) -> None:
    row = await factories.broadcast(team)
    async with watching(graph) as socket:
        start = (await next_of(socket))["cursor"]
        await record(row, 2)
        first, second = await next_of(socket), await next_of(socket)
    await record(row, 2)
    for after, expected in ((start, [1, 2, 3, 4]), (first["cursor"], [2, 3, 4]), (second["cursor"], [3, 4])):
        async with watching(graph, after) as socket:
            assert [(await next_of(socket))["sequence"] for _ in expected] == expected


async def test_two_who_watch_see_the_same_and_another_app_nothing(graph: Graph, team: Team) -> None:
    colleague = graph.as_((await factories.team(Role.AGENT, team.app_id)).token)
    stranger = graph.as_((await factories.team()).token)
    row = await factories.broadcast(team)
    async with watching(graph) as one, watching(colleague) as two, watching(stranger) as other:
        for socket in (one, two, other):
            assert (await next_of(socket))["__typename"] == "BroadcastsSnapshot"
        await record(row)
        assert await next_of(one) == await next_of(two)
        await other.wire.send('{"type": "ping"}')
        assert (await other.receive())["type"] == "pong"


async def test_what_cannot_be_told_any_more_is_a_resync_and_the_state(graph: Graph, team: Team) -> None:
    row = await factories.broadcast(team)
    await record(row)
    async with watching(graph) as socket:
        old = (await next_of(socket))["cursor"]
    await record(row, 3)
    async with transaction() as session:
        of_it = sa.select(Stream.id).where(Stream.app_id == team.app_id).scalar_subquery()
        await session.execute(sa.delete(StreamEvent).where(StreamEvent.stream_id == of_it, StreamEvent.seq < 4))
    async with watching(graph, old) as socket:
        assert [(one["__typename"], one["sequence"]) for one in [await next_of(socket), await next_of(socket)]] == [
            ("Resync", 4),
            ("BroadcastsSnapshot", 4),
        ]
        await record(row)
        assert (await next_of(socket))["sequence"] == 5


async def test_a_cursor_of_another_app_is_a_resync_and_one_of_none_an_error(graph: Graph, team: Team) -> None:
    other = await factories.team()
    await record(await factories.broadcast(other), 2)
    await record(await factories.broadcast(team))
    async with watching(graph.as_(other.token)) as socket:
        theirs = (await next_of(socket))["cursor"]
    async with watching(graph, theirs) as socket:
        seen = await next_of(socket)
        assert (seen["__typename"], seen["sequence"]) == ("Resync", 1)
    for wrong in ("", "nonsense", "MS4tMQ", "MQ", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5LjE"):
        async with watching(graph, wrong) as socket:
            message = await socket.receive()
            assert message["type"] == "error"
            assert [error["extensions"]["code"] for error in message["payload"]] == ["BAD_USER_INPUT"]


async def test_a_test_of_a_broadcast_is_no_news_of_the_list(graph: Graph, team: Team) -> None:
    row, trial = await factories.broadcast(team), await factories.broadcast(team, is_test=True)
    async with watching(graph) as socket:
        assert (await next_of(socket))["broadcasts"] == [{"id": str(row.id), "status": "DRAFT"}]
        await record(trial)
        await record(row)
        seen = await next_of(socket)
        assert (seen["sequence"], seen["entityId"]) == (1, str(row.id))
