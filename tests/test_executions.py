"""Executions from outside: started, watched, continued, cancelled, counted, with worker processes. E1, E4, E5, E7."""

import asyncio
from datetime import timedelta
from typing import Any

from core.clock import now
from domain.permissions import Permission
from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import Graph, Socket
from tests.support.processes import Process
from tests.support.waiting import until
from tests.support.workflows import node, of

ERRORS = "userErrors { code message field }"
START = f"""mutation($input: StartWorkflowInput!) {{
    startWorkflow(input: $input) {{ execution {{ id status contact {{ id }} }} {ERRORS} }} }}"""
FIELDS = """id status reason version endedAt currentNodeIds contact { id } context error { nodeId code message }
    workflow { name } steps { nodeId action status branch output dueAt error { code } }"""


def act(name: str) -> str:
    return f"""mutation($input: WorkflowExecutionInput!) {{
        {name}WorkflowExecution(input: $input) {{ execution {{ id status }} {ERRORS} }} }}"""


ONE = f"query($id: ID!) {{ workflowExecution(id: $id) {{ {FIELDS} }} }}"
LIST = """query($id: ID, $filter: WorkflowExecutionFilterInput, $first: Int, $after: String) {
    workflowExecutions(workflowId: $id, filter: $filter, first: $first, after: $after) {
        totalCount nodes { id } pageInfo { endCursor hasNextPage } } }"""
NUMBERS = """query($id: ID!, $version: Int, $zone: String!) {
    workflowAnalytics(workflowId: $id, version: $version, days: 2, timeZone: $zone) {
        stats { totalExecutions running completed cancelled completionRate conversionRate avgDuration }
        nodes { nodeId entered passed inProgress cancelled dropOff medianSeconds }
        dropoffByNode executionsByDay { date count } } }"""
WATCH = f"subscription($id: ID!) {{ workflowExecutionUpdated(executionId: $id) {{ {FIELDS} }} }}"
ACTIVITY = """subscription($id: ID!) { workflowActivity(workflowId: $id) {
    stats { totalExecutions running completed } nodes { nodeId entered passed inProgress } } }"""
MANUAL = {"type": "manual"}
STEPS = of(
    node("name", "update_contact", name="{{ event.properties.name }}"),
    node("pause", "wait", duration="30d"),
    node("tag", "add_tag", tag="done"),
    edges="name-pause pause-tag",
) | {"trigger": MANUAL}


async def frame(socket: Socket, holds: Any) -> Any:
    """The first frame that holds."""
    while True:
        message = await socket.receive()
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        (value,) = message["payload"]["data"].values()
        if holds(value):
            return value


async def test_an_execution_is_watched_from_its_start_to_its_end(graph: Graph, team: Team, worker: Process) -> None:
    person = await factories.person(team.app_id, external_id="customer-1")
    workflow = await factories.workflow(team, STEPS)
    asked = {"workflowId": str(workflow.id), "userId": "customer-1", "properties": {"name": "Ada"}}
    started = (await graph.change(START, **asked, idempotencyKey="once"))["execution"]
    assert (await graph.change(START, **asked, idempotencyKey="once"))["execution"]["id"] == started["id"]
    async with graph.connect() as socket:
        await socket.start(WATCH, id=started["id"])
        seen = await frame(socket, lambda one: one["steps"][-1]["status"] == "WAITING")
        assert seen["currentNodeIds"] == ["pause"]
        assert (seen["status"], seen["version"], seen["contact"], seen["workflow"]) == (
            "RUNNING",
            1,
            {"id": str(person.id)},
            {"name": "Welcome"},
        )
        assert seen["context"] == {"event": {"properties": {"name": "Ada"}}}
        assert [(one["nodeId"], one["action"], one["status"]) for one in seen["steps"]] == [
            ("name", "update_contact", "COMPLETED"),
            ("pause", "wait", "WAITING"),
        ]
        assert [one["dueAt"] is None for one in seen["steps"]] == [True, False]
        await graph.change(act("continue"), id=started["id"])
        seen = await frame(socket, lambda one: one["status"] == "COMPLETED")
        assert [(one["nodeId"], one["branch"]) for one in seen["steps"]] == [
            ("name", "next"),
            ("pause", "next"),
            ("tag", "next"),
        ]
        assert (seen["currentNodeIds"], seen["error"], seen["endedAt"] is None) == ([], None, False)
    (error,) = await graph.refused(act("cancel"), id=started["id"])
    assert (error["code"], error["field"]) == ("CONFLICT", ["id"])


async def test_the_counts_on_nodes_are_told_live_and_agree_with_the_numbers(
    graph: Graph, team: Team, worker: Process
) -> None:
    people = [await factories.person(team.app_id) for _ in range(6)]
    workflow = await factories.workflow(team, STEPS)
    id_ = str(workflow.id)

    async def start(contact_id: object) -> str:
        asked = {"workflowId": id_, "contactId": str(contact_id), "properties": {"name": "Ada"}}
        return (await graph.change(START, **asked))["execution"]["id"]

    async with graph.connect() as socket:
        await socket.start(ACTIVITY, id=id_)
        first = await frame(socket, lambda _: True)
        assert first["stats"] == {"totalExecutions": 0, "running": 0, "completed": 0}
        zeros = {"entered": 0, "passed": 0, "inProgress": 0}
        assert first["nodes"] == [{"nodeId": name, **zeros} for name in ("name", "pause", "tag")]
        ids = await asyncio.gather(*(start(one.id) for one in people))
        await frame(socket, lambda one: one["nodes"][1] == {"nodeId": "pause", **zeros, "entered": 6, "inProgress": 6})
        await graph.change(act("cancel"), id=ids[0])
        await graph.change(act("continue"), id=ids[1])
        seen = await frame(socket, lambda one: one["stats"] == {"totalExecutions": 6, "running": 4, "completed": 1})
        assert seen["nodes"][2] == {"nodeId": "tag", "entered": 1, "passed": 1, "inProgress": 0}
    found = (await graph.data(NUMBERS, id=id_, zone="UTC"))["workflowAnalytics"]
    average = found["stats"].pop("avgDuration")
    assert 0 < average < 300
    assert found["stats"] == {
        "totalExecutions": 6,
        "running": 4,
        "completed": 1,
        "cancelled": 1,
        "completionRate": 1 / 6,
        "conversionRate": 0,
    }
    pause = found["nodes"][1]
    assert 0 < pause.pop("medianSeconds") < 300
    assert pause == {"nodeId": "pause", "entered": 6, "passed": 1, "inProgress": 4, "cancelled": 1, "dropOff": 1}
    assert found["dropoffByNode"] == {"name": 0, "pause": 1, "tag": 0}
    assert sum(one["count"] for one in found["executionsByDay"]) == 6
    stats = "query($id: ID!) { workflow(id: $id) { stats { totalExecutions running cancelled completionRate } } }"
    assert (await graph.data(stats, id=id_))["workflow"]["stats"] == {
        "totalExecutions": 6,
        "running": 4,
        "cancelled": 1,
        "completionRate": 1 / 6,
    }


async def test_all_of_a_workflow_are_cancelled_by_a_worker(graph: Graph, team: Team, worker: Process) -> None:
    people = [await factories.person(team.app_id) for _ in range(3)]
    workflow = await factories.workflow(team, STEPS)
    for one in people:
        asked = {"workflowId": str(workflow.id), "contactId": str(one.id), "properties": {"name": "Ada"}}
        await graph.change(START, **asked)
    cancel = f"""mutation($input: CancelWorkflowExecutionsInput!) {{
        cancelWorkflowExecutions(input: $input) {{ workflow {{ id }} {ERRORS} }} }}"""
    await graph.change(cancel, workflowId=str(workflow.id))

    async def cancelled() -> int:
        found = await graph.data(LIST, id=str(workflow.id), filter={"status": "CANCELLED"})
        return found["workflowExecutions"]["totalCount"]

    assert await until(cancelled, lambda count: count == 3) == 3


async def test_a_failure_says_where_and_why_and_is_retried(graph: Graph, team: Team) -> None:
    person = await factories.person(team.app_id)
    workflow = await factories.workflow(team)
    row = await factories.failed_execution(team, person.id, workflow)
    seen = (await graph.data(ONE, id=str(row.id)))["workflowExecution"]
    assert seen["error"] == {"nodeId": "wait", "code": "SERVER_ERROR", "message": "The server answered 500."}
    assert seen["steps"][0]["error"] == {"code": "SERVER_ERROR"}
    assert (await graph.change(act("retry"), id=str(row.id)))["execution"]["status"] == "RUNNING"
    seen = (await graph.data(ONE, id=str(row.id)))["workflowExecution"]
    assert (seen["error"], seen["endedAt"]) == (None, None)


async def test_executions_are_listed_by_status_contact_node_and_time(graph: Graph, team: Team) -> None:
    people = [await factories.person(team.app_id) for _ in range(3)]
    workflow = await factories.workflow(team)
    rows = [await factories.execution(team, one.id, workflow) for one in people[:2]]
    rows.append(await factories.failed_execution(team, people[2].id, workflow))
    first, second, third = (str(one.id) for one in rows)

    async def found(id_: str | None = str(workflow.id), **chosen: object) -> list[str]:
        answer = await graph.data(LIST, id=id_, filter=chosen)
        assert answer["workflowExecutions"]["totalCount"] == len(answer["workflowExecutions"]["nodes"])
        return [one["id"] for one in answer["workflowExecutions"]["nodes"]]

    assert await found() == [third, second, first]
    assert await found(status="FAILED") == [third]
    assert await found(nodeId="wait") == [second, first]
    assert await found(nodeId="greet") == []
    assert await found(contactId=str(people[1].id)) == [second]
    assert await found(None, contactId=str(people[0].id)) == [first]
    assert await found(since=rows[1].created_at.isoformat()) == [third, second]
    assert await found(until=rows[1].created_at.isoformat()) == [first]
    page = (await graph.data(LIST, id=str(workflow.id), first=2))["workflowExecutions"]
    rest = await graph.data(LIST, id=str(workflow.id), first=2, after=page["pageInfo"]["endCursor"])
    assert [one["id"] for one in rest["workflowExecutions"]["nodes"]] == [first]
    neither = await graph.ask(LIST)
    assert neither.codes == ["BAD_USER_INPUT"]


async def test_days_are_those_of_the_zone_and_nothing_has_no_rates(graph: Graph, team: Team) -> None:
    workflow = await factories.workflow(team)
    found = (await graph.data(NUMBERS, id=str(workflow.id), version=1, zone="Pacific/Kiritimati"))["workflowAnalytics"]
    today = (now() + timedelta(hours=14)).date()
    yesterday = today - timedelta(days=1)
    assert [one["count"] for one in found["executionsByDay"]] == [0, 0]
    assert [one["date"] for one in found["executionsByDay"]] == [yesterday.isoformat(), today.isoformat()]
    stats = found["stats"]
    assert (stats["completionRate"], stats["conversionRate"], stats["avgDuration"]) == (None, None, None)
    assert {one["medianSeconds"] for one in found["nodes"]} == {None}
    for wrong in ({"version": 7}, {"zone": "Mars/Olympus"}):
        answer = await graph.ask(NUMBERS, **{"id": str(workflow.id), "zone": "UTC"} | wrong)
        assert answer.codes in (["NOT_FOUND"], ["BAD_USER_INPUT"])


async def test_a_key_that_may_run_workflows_starts_them_and_draws_none(graph: Graph, team: Team) -> None:
    person = await factories.person(team.app_id)
    workflow = await factories.workflow(team, STEPS)
    key = await factories.api_key(team, Permission.RUN_WORKFLOWS)
    shop = graph.as_(key.secret)
    asked = {"workflowId": str(workflow.id), "contactId": str(person.id), "properties": {"name": "Ada"}}
    assert (await shop.change(START, **asked))["execution"]["status"] == "RUNNING"
    (error,) = await shop.refused(START, **asked)
    assert (error["code"], error["field"]) == ("CONFLICT", ["contactId"])
    pause = f"mutation($input: WorkflowInput!) {{ pauseWorkflow(input: $input) {{ {ERRORS} }} }}"
    assert (await shop.ask(pause, input={"id": str(workflow.id)})).codes == ["FORBIDDEN"]
