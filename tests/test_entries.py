"""The ways into workflows from outside: automations, enrolments, goals of broadcasts; with a worker and a clock."""

import re
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from core.database import transaction
from models.contacts import Contact
from models.workflows import Workflow
from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.processes import Process
from tests.support.waiting import until

DOCS = Path(__file__).parents[1] / "docs" / "workflows.md"
ERRORS = "userErrors { code message field }"
AUTOMATION = f"""mutation($input: CreateAutomationInput!) {{ createAutomation(input: $input) {{
  workflow {{ id status definitionJson }} version {{ number }} problems {{ code nodeId field }}
  {ERRORS} }} }}"""
ENROLMENT = "id status audience segmentId entered keptOut endedAt createdBy { id }"
ENROL = f"""mutation($input: EnrolContactsInput!) {{ enrolContacts(input: $input) {{
  enrolment {{ {ENROLMENT} }} {ERRORS} }} }}"""
ENROLMENTS = f"query($id: ID!) {{ workflowEnrolments(workflowId: $id) {{ totalCount nodes {{ {ENROLMENT} }} }} }}"
CREATE = f"""mutation($input: CreateBroadcastInput!) {{ createBroadcast(input: $input) {{
  broadcast {{ id goal {{ eventName withinHours }} }} {ERRORS} }} }}"""
UPDATE = f"""mutation($input: UpdateBroadcastInput!) {{ updateBroadcast(input: $input) {{
  broadcast {{ goal {{ eventName withinHours }} }} {ERRORS} }} }}"""
ANALYTICS = "query($id: ID!) { broadcastAnalytics(broadcastId: $id) { conversions conversionRate } }"
TRACK = f"mutation($input: TrackEventInput!) {{ trackEvent(input: $input) {{ event {{ id }} {ERRORS} }} }}"
SEND = f"mutation($input: SendBroadcastInput!) {{ sendBroadcast(input: $input) {{ broadcast {{ status }} {ERRORS} }} }}"


def automation(trigger: dict[str, Any], *actions: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"name": "Rule", "trigger": trigger, "actions": list(actions), **rest}


async def made(graph: Graph, input: dict[str, Any]) -> dict[str, Any]:
    return (await graph.data(AUTOMATION, input=input))["createAutomation"]


async def plans(team: Team) -> list[str | None]:
    async with transaction() as session:
        return list(await session.scalars(sa.select(Contact.plan).where(Contact.app_id == team.app_id)))


async def workflows(team: Team) -> int:
    async with transaction() as session:
        return await session.scalar(sa.select(sa.func.count()).where(Workflow.app_id == team.app_id)) or 0


async def test_an_automation_is_a_chain_and_does_what_it_says(graph: Graph, team: Team, worker: Process) -> None:
    contact = await factories.person(team.app_id)
    actions = ({"addTag": {"tag": "seen"}}, {"updateContact": {"plan": "pro"}})
    found = await made(graph, automation({"tagAdded": {"tag": "vip"}}, *actions, activate=True))
    assert (found["userErrors"], found["version"], found["problems"]) == ([], {"number": 1}, [])
    assert found["workflow"]["status"] == "ACTIVE"
    assert found["workflow"]["definitionJson"] == {
        "trigger": {"type": "tag_added", "tag": "vip"},
        "nodes": [
            {"id": "action_1", "type": "add_tag", "config": {"tag": "seen"}},
            {"id": "action_2", "type": "update_contact", "config": {"plan": "pro"}},
        ],
        "edges": [{"from": "action_1", "to": "action_2"}],
    }
    update = (
        f"mutation($input: UpdateContactInput!) {{ updateContact(input: $input) {{ contact {{ tags }} {ERRORS} }} }}"
    )
    await graph.change(update, id=str(contact.id), tags=["vip"])
    await until(lambda: plans(team), lambda seen: seen == ["pro"])


async def test_the_automation_of_the_docs_is_made(graph: Graph) -> None:
    (block,) = re.findall(r"```graphql\n(.*?)```", DOCS.read_text(), re.DOTALL)
    found = (await graph.data(block))["createAutomation"]
    assert (found["workflow"]["status"], found["problems"], found["userErrors"]) == ("ACTIVE", [], [])


async def test_an_automation_with_something_wrong_is_not_made(graph: Graph, team: Team) -> None:
    manual = {"manual": {}}
    wrong = automation(manual, {"sendMessage": {"body": "{{ contact.nmae }}"}}, activate=True)
    found = await made(graph, wrong)
    assert (found["workflow"], [one["nodeId"] for one in found["problems"]]) == (None, ["action_1"])
    found = await made(graph, automation(manual, {"wait": {"duration": "1d"}}, {"exit": {}}))
    assert (found["workflow"], found["userErrors"][0]["field"]) == (None, ["actions", "1"])
    assert (await made(graph, automation(manual)))["userErrors"][0]["field"] == ["actions"]
    assert await workflows(team) == 0
    found = await made(graph, wrong | {"activate": False})
    assert (found["workflow"]["status"], found["version"]) == ("DRAFT", None)


async def test_an_automation_that_is_asked_for_twice_is_made_once(graph: Graph, team: Team) -> None:
    said = automation({"manual": {}}, {"addTag": {"tag": "a"}}, activate=True, idempotencyKey="once")
    first, again = [await made(graph, said) for _ in range(2)]
    assert first["workflow"] == again["workflow"]
    assert await workflows(team) == 1


async def test_many_are_enrolled_and_counted(graph: Graph, team: Team, worker: Process) -> None:
    people = [await factories.person(team.app_id) for _ in range(7)]
    said = automation({"manual": {}}, {"updateContact": {"plan": "pro"}}, activate=True)
    workflow_id = (await made(graph, said))["workflow"]["id"]
    named = {"contactIds": [str(one.id) for one in people[:2]]}
    await graph.change(ENROL, workflowId=workflow_id, audience=named)
    await until(lambda: plans(team), lambda seen: seen.count("pro") == 2)
    begun = (await graph.change(ENROL, workflowId=workflow_id, audience={"everybody": True}))["enrolment"]
    assert (begun["audience"], begun["createdBy"]) == ("EVERYBODY", {"id": str(team.user_id)})
    await until(lambda: plans(team), lambda seen: seen == ["pro"] * 7)

    async def counts() -> list[tuple[Any, ...]]:
        listed = (await graph.data(ENROLMENTS, id=workflow_id))["workflowEnrolments"]
        assert listed["totalCount"] == 2
        return [(one["status"], one["entered"], one["keptOut"]) for one in listed["nodes"]]

    seen = await until(counts, lambda seen: all(status == "COMPLETED" for status, *_ in seen))
    # whoever was through by then came in again
    assert seen[1] == ("COMPLETED", 2, 0)
    assert sum(seen[0][1:]) == 7


async def test_an_enrolment_says_who_is_meant(graph: Graph, team: Team) -> None:
    said = automation({"manual": {}}, {"addTag": {"tag": "a"}}, activate=True)
    workflow_id = (await made(graph, said))["workflow"]["id"]
    for audience, field in (
        ({"everybody": False}, ["audience", "everybody"]),
        ({"contactIds": []}, ["audience", "contactIds"]),
        ({"contactIds": ["x"]}, ["audience", "contactIds", "0"]),
    ):
        errors = (await graph.data(ENROL, input={"workflowId": workflow_id, "audience": audience}))["enrolContacts"]
        assert errors["userErrors"][0]["field"] == field


async def test_a_goal_is_set_shown_cleared_and_counted(graph: Graph, team: Team, worker: Process) -> None:
    await factories.contacts(team.app_id, 1)
    goal = {"eventName": "bought", "withinHours": 48}
    said = {"title": "Hello", "body": "World", "target": {"targetType": "ALL_USERS"}, "options": {"goal": goal}}
    broadcast = (await graph.change(CREATE, **said))["broadcast"]
    assert broadcast["goal"] == goal
    id_ = broadcast["id"]
    assert (await graph.change(UPDATE, id=id_, options={"goal": None}))["broadcast"]["goal"] is None
    assert (await graph.change(UPDATE, id=id_, options={"goal": goal}))["broadcast"]["goal"] == goal
    await graph.change(SEND, id=id_)
    status = "query($id: ID!) { broadcast(id: $id) { status } }"
    await until(lambda: graph.data(status, id=id_), lambda seen: seen["broadcast"]["status"] == "SENT")
    for _ in range(2):
        await graph.change(TRACK, userId="user-0", name="bought")
    found = await until(
        lambda: graph.data(ANALYTICS, id=id_), lambda seen: seen["broadcastAnalytics"]["conversions"] == 1
    )
    assert found["broadcastAnalytics"] == {"conversions": 1, "conversionRate": None}
