"""Workflows from outside: drawn in both forms, checked, published, tried. E1 to E3."""

import json
from pathlib import Path
from typing import Any

from tests.support import factories, inbox
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.workflows import ONBOARDING, WINBACK, node, of

EXAMPLES = Path(__file__).parent.parent / "graphql-examples"
ERRORS = "userErrors { code message field }"
CREATE = f"""mutation($input: CreateWorkflowInput!) {{
    createWorkflow(input: $input) {{ workflow {{ id version status definitionJson }} {ERRORS} }} }}"""
PUBLISH = f"""mutation($input: WorkflowInput!) {{
    publishWorkflow(input: $input) {{ version {{ number }} problems {{ code nodeId field }} {ERRORS} }} }}"""
CHECK = """query($workflow: WorkflowValidationInput!) {
    validateWorkflow(workflow: $workflow) { isValid problems { code nodeId field } } }"""
TYPED = """query($id: ID!) { workflow(id: $id) { definition {
    trigger { ... on WorkflowEventTrackedTrigger { eventName } }
    nodes { id config {
        __typename
        ... on WorkflowSendMessageConfig { body channel data }
        ... on WorkflowWaitConfig { duration }
        ... on WorkflowConditionConfig { field operator value }
        ... on WorkflowWebhookConfig { url method jsonBody retries }
        ... on WorkflowTrackEventConfig { eventName properties }
    } configJson branches { name to } }
    edges { from to } } } }"""


async def create(graph: Graph, definition: dict[str, Any]) -> dict[str, Any]:
    return (await graph.change(CREATE, name="Hello", definition=definition))["workflow"]


async def test_the_form_of_the_builder_comes_back_as_it_was_and_typed(graph: Graph) -> None:
    made = await create(graph, {"json": ONBOARDING})
    assert (made["status"], made["version"], made["definitionJson"]) == ("DRAFT", 1, ONBOARDING)
    typed = (await graph.data(TYPED, id=made["id"]))["workflow"]["definition"]
    assert typed["trigger"] == {"eventName": "user_signup"}
    assert [one["config"]["__typename"].removeprefix("Workflow") for one in typed["nodes"]] == [
        "SendMessageConfig",
        "WaitConfig",
        "ConditionConfig",
        "WebhookConfig",
        "TrackEventConfig",
    ]
    assert typed["nodes"][1]["config"]["duration"] == "3d"
    assert typed["nodes"][2]["branches"] == [{"name": "true", "to": "node_5"}, {"name": "false", "to": "node_6"}]
    assert typed["nodes"][3]["config"] == {
        "__typename": "WorkflowWebhookConfig",
        "url": "https://example.com/api/notify",
        "method": "POST",
        "jsonBody": {"user_id": "{{user_id}}", "event": "workflow_completed"},
        "retries": 3,
    }
    assert typed["edges"] == ONBOARDING["edges"]


async def test_the_typed_form_says_the_same_as_the_json(graph: Graph, team: Team) -> None:
    label = str((await inbox.label(team)).id)
    given = json.loads((EXAMPLES / "workflows.json").read_text().replace("$labelId", label))
    made = await create(graph, given["CreateWorkflow"]["input"]["definition"])
    kept = made["definitionJson"]
    assert kept["trigger"] == {
        "type": "event",
        "event_name": "user_signup",
        "properties": [{"field": "plan", "operator": "in", "value": ["free", "trial"]}],
    }
    nodes = {one["id"]: one for one in kept["nodes"]}
    assert nodes["order"] == {
        "id": "order",
        "type": "wait_for_event",
        "config": {"event_name": "order_placed", "timeout": "3d"},
        "branches": {"received": "thank", "timeout": "morning"},
    }
    assert nodes["active"]["branches"] == {"true": "tell", "false": None}
    assert nodes["tell"]["config"]["body"] == {"user_id": "{{ user_id }}", "workflow": "{{ workflow_id }}"}
    assert nodes["greet"]["position"] == {"x": 0, "y": 0}
    assert kept["goal"] == {"event_name": "order_placed", "within": "14d"}
    assert kept["reentry"] == "ONCE"
    whole = await graph.data(CHECK, workflow={"workflowId": made["id"]})
    assert whole["validateWorkflow"] == {"isValid": True, "problems": []}
    assert (await graph.change(PUBLISH, id=made["id"]))["version"] == {"number": 1}


async def test_an_incomplete_draft_is_kept_and_told_all_that_keeps_it_from_being_published(graph: Graph) -> None:
    drawn = of(node("a", "send_message"), node("b", "webhook", url="https://169.254.169.254/"), edges="a-b b-a")
    made = await create(graph, {"json": drawn})
    expected = [
        {"code": "CYCLE", "nodeId": "a", "field": None},
        {"code": "CONFIG_MISSING", "nodeId": "a", "field": "config.body"},
        {"code": "CYCLE", "nodeId": "b", "field": None},
        {"code": "ADDRESS_BLOCKED", "nodeId": "b", "field": "config.url"},
    ]
    found = await graph.data(CHECK, workflow={"definition": {"json": drawn}})
    assert found["validateWorkflow"] == {"isValid": False, "problems": expected}
    payload = (await graph.ask(PUBLISH, input={"id": made["id"]})).field("publishWorkflow")
    assert (payload["version"], payload["problems"]) == (None, expected)
    assert [one["code"] for one in payload["userErrors"]] == ["BAD_USER_INPUT"]
    config = (await graph.data(TYPED, id=made["id"]))["workflow"]["definition"]["nodes"][0]
    assert (config["config"], config["configJson"]) == (None, {})


async def test_what_is_no_definition_is_a_problem_when_checked_and_an_error_when_saved(graph: Graph) -> None:
    found = await graph.data(CHECK, workflow={"definition": {"json": {"nodes": [{"id": "a", "type": 1}]}}})
    problem = {"code": "MALFORMED", "nodeId": "a", "field": "definition.nodes.0.type"}
    assert found["validateWorkflow"] == {"isValid": False, "problems": [problem]}
    (error,) = await graph.refused(CREATE, name="Hello", definition={"json": {"nodes": [{"id": "a", "type": 1}]}})
    assert (error["code"], error["field"]) == ("BAD_USER_INPUT", ["definition", "nodes", "0", "type"])


async def test_the_draft_is_compared_with_a_version(graph: Graph, team: Team) -> None:
    row = await factories.workflow(team, WINBACK)
    update = (
        f"mutation($input: UpdateWorkflowInput!) {{ updateWorkflow(input: $input) {{ workflow {{ id }} {ERRORS} }} }}"
    )
    changed = {**WINBACK, "nodes": [{**WINBACK["nodes"][0], "config": {"body": "Hi"}}, *WINBACK["nodes"][1:]]}
    await graph.change(update, id=str(row.id), definition={"json": changed})
    query = """query($id: ID!, $to: Int) { workflowDiff(workflowId: $id, from: 1, to: $to) {
        changed { nodeId changed } added { id } } }"""
    found = (await graph.data(query, id=str(row.id)))["workflowDiff"]
    assert found == {"changed": [{"nodeId": "node_1", "changed": ["config.body", "config.data"]}], "added": []}
    assert (await graph.data(query, id=str(row.id), to=1))["workflowDiff"] == {"changed": [], "added": []}
