"""Assignment from outside: over GraphQL, and by presence, worker and clock that run by themselves. F5."""

from typing import Any

import pytest

from models.team import Role
from tests.support import factories, inbox
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.processes import Process
from tests.support.waiting import until

ASSIGN = """mutation($input: AssignConversationInput!) { assignConversation(input: $input) {
    conversation { assignee { id } queuedAt } userErrors { code field message } } }"""
SETTINGS = """mutation($input: SetAssignmentSettingsInput!) { setAssignmentSettings(input: $input) {
    assignmentSettings { mode agentCapacity requeueAfterMinutes } userErrors { code field } } }"""
CAPACITY = """mutation($input: SetMemberCapacityInput!) { setMemberCapacity(input: $input) {
    membership { capacity load { open capacity } } userErrors { code field } } }"""
AWAY = """mutation($input: SetAwayInput!) { setAway(input: $input) { membership { isAway } userErrors { code } } }"""
RESOLVE = """mutation($input: ConversationInput!) { resolveConversation(input: $input) {
    conversation { id } userErrors { code } } }"""
TAKE = "mutation { takeNextConversation { conversation { id assignee { id } } userErrors { code } } }"
HISTORY = """query($id: ID!, $after: String) { conversation(id: $id) { assignments(first: 1, after: $after) {
    totalCount pageInfo { endCursor } nodes { reason actor fromUser { id } toUser { id } by { id } } } } }"""
TEAM = "{ team { nodes { id user { id } capacity isAway load { open capacity } } } }"


@pytest.fixture
async def agent(team: Team) -> Team:
    return await factories.team(Role.AGENT, team.app_id)


async def opened(team: Team) -> str:
    return str((await (await inbox.line(team)).says()).conversation_id)


async def member(graph: Graph, who: Team) -> dict[str, Any]:
    nodes = (await graph.data(TEAM))["team"]["nodes"]
    return next(one for one in nodes if one["user"]["id"] == str(who.user_id))


async def test_a_conversation_is_assigned_by_hand_and_its_history_is_paged(
    graph: Graph, team: Team, agent: Team
) -> None:
    id_, person = await opened(team), str(agent.user_id)
    as_agent = graph.as_(agent.token)
    given = await as_agent.change(ASSIGN, conversationId=id_, userId=person, expectedAssigneeId=None)
    assert given["conversation"] == {"assignee": {"id": person}, "queuedAt": None}
    assert (await member(graph, agent))["load"] == {"open": 1, "capacity": 20}
    stale = {"conversationId": id_, "userId": str(team.user_id), "expectedAssigneeId": None}
    refused = (await graph.data(ASSIGN, input=stale))["assignConversation"]
    assert refused["conversation"]["assignee"] == {"id": person}
    (error,) = refused["userErrors"]
    assert (error["code"], error["field"]) == ("CONFLICT", ["expectedAssigneeId"])
    assert error["message"].startswith("Bob answers")
    assert (await graph.refused(ASSIGN, conversationId=id_))[0]["field"] == ["userId"]
    back = await graph.change(ASSIGN, conversationId=id_, userId=None, expectedAssigneeId=person)
    assert back["conversation"]["assignee"] is None
    first = (await graph.data(HISTORY, id=id_))["conversation"]["assignments"]
    by_agent = {"actor": f"user:{person}", "by": {"id": person}}
    assert first["nodes"] == [{"reason": "MANUAL", "fromUser": None, "toUser": {"id": person}, **by_agent}]
    assert first["totalCount"] == 2
    after = first["pageInfo"]["endCursor"]
    second = (await graph.data(HISTORY, id=id_, after=after))["conversation"]["assignments"]
    by_owner = {"actor": f"user:{team.user_id}", "by": {"id": str(team.user_id)}}
    assert second["nodes"] == [{"reason": "UNASSIGNED", "fromUser": {"id": person}, "toUser": None, **by_owner}]
    assert (await as_agent.change(TAKE))["conversation"] == {"id": id_, "assignee": {"id": person}}
    assert (await as_agent.change(TAKE))["conversation"] is None


async def test_how_an_app_assigns_is_decided_by_who_runs_it(graph: Graph, agent: Team) -> None:
    set_ = await graph.change(SETTINGS, mode="ROUND_ROBIN", requeueAfterMinutes=None)
    assert set_["assignmentSettings"] == {"mode": "ROUND_ROBIN", "agentCapacity": 20, "requeueAfterMinutes": None}
    kept = await graph.change(SETTINGS, agentCapacity=3)
    assert kept["assignmentSettings"] == {"mode": "ROUND_ROBIN", "agentCapacity": 3, "requeueAfterMinutes": None}
    id_ = (await member(graph, agent))["id"]
    for capacity, most in ((0, 0), (7, 7), (None, 3)):
        changed = (await graph.change(CAPACITY, id=id_, capacity=capacity))["membership"]
        assert changed == {"capacity": capacity, "load": {"open": 0, "capacity": most}}
    as_agent = graph.as_(agent.token)
    assert (await as_agent.ask(SETTINGS, input={"mode": "MANUAL"})).codes == ["FORBIDDEN"]
    assert (await as_agent.change(AWAY, away=True))["membership"] == {"isAway": True}


async def test_the_queue_is_drained_when_somebody_comes_and_when_they_have_resolved_one(
    graph: Graph, team: Team, agent: Team, worker: Process
) -> None:
    await graph.change(SETTINGS, mode="BALANCED", agentCapacity=1)
    ids, as_agent = [await opened(team) for _ in range(3)], graph.as_(agent.token)
    await as_agent.change(AWAY, away=True)

    async def mine() -> list[str]:
        rows = [row for row in await inbox.conversations(team) if row.assignee_id == agent.user_id]
        return [str(row.id) for row in rows]

    async with as_agent.connect():
        assert await mine() == []
        await as_agent.change(AWAY, away=False)
        assert await until(mine) == ids[:1]
        await as_agent.change(RESOLVE, id=ids[0])
        assert await until(mine, lambda seen: len(seen) > 1) == ids[:2]
    await as_agent.change(RESOLVE, id=ids[1])
    async with as_agent.connect():
        assert await until(mine, lambda seen: len(seen) > 2) == ids
