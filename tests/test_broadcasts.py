"""A broadcast end to end: GraphQL over HTTP and websocket, a worker process, devices on sockets."""

import asyncio
from uuid import UUID

from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.processes import Process
from tests.support.waiting import until

CREATE = """mutation($input: CreateBroadcastInput!) {
  createBroadcast(input: $input) { broadcast { id status } userErrors { code message field } } }"""
SEND = """mutation($input: SendBroadcastInput!) {
  sendBroadcast(input: $input) { broadcast { id status } userErrors { code message field } } }"""
STATS = """query($id: ID!) { broadcast(id: $id) { status totalRecipients
  stats { totalRecipients totalSent totalFailed totalDelivered totalOpened totalClicked openRate clickRate } } }"""
PROGRESS = """subscription($id: ID!) { broadcastProgress(broadcastId: $id) {
  status pending ended limiter rate stats { totalRecipients totalSent } } }"""
RECEIVE = "subscription { inAppMessageReceived { id sequence title body data } }"
REPORT = """mutation($input: ReportReceiptsInput!) {
  reportReceipts(input: $input) { accepted userErrors { code message } } }"""
ALL = {"targetType": "ALL_USERS"}


async def create(graph: Graph, **input: object) -> str:
    payload = await graph.change(CREATE, **({"title": "Hello", "body": "World", "target": ALL} | input))
    return payload["broadcast"]["id"]


async def sent(graph: Graph, broadcast_id: str) -> dict:
    seen = await until(
        lambda: graph.data(STATS, id=broadcast_id), lambda seen: seen["broadcast"]["status"] == "SENT", seconds=40
    )
    return seen["broadcast"]


async def receive_and_report(graph: Graph, device_id: UUID, kind: str) -> dict:
    """Be a device: take one message and report it."""
    device = graph.as_(await factories.device_token(device_id))
    async with device.connect() as socket:
        message = await anext(socket.frames(RECEIVE))
    await device.change(REPORT, receipts=[{"messageId": message["id"], "kind": kind}])
    return message


async def test_a_broadcast_reaches_devices_that_report(graph: Graph, team: Team, worker: Process) -> None:
    devices = await factories.contacts(team.app_id, 3)
    broadcast_id = await create(graph, data={"action": "open"})
    receiving = asyncio.gather(
        *(
            receive_and_report(graph, id_, kind)
            for id_, kind in zip(devices, ("DELIVERED", "OPENED", "CLICKED"), strict=True)
        )
    )
    await graph.change(SEND, id=broadcast_id)
    messages = await receiving
    assert [(m["title"], m["body"], m["data"], m["sequence"]) for m in messages] == [
        ("Hello", "World", {"action": "open"}, 1)
    ] * 3
    seen = await sent(graph, broadcast_id)
    assert seen["stats"] == {
        "totalRecipients": 3,
        "totalSent": 3,
        "totalFailed": 0,
        "totalDelivered": 3,
        "totalOpened": 2,
        "totalClicked": 1,
        "openRate": 2 / 3,
        "clickRate": 1 / 3,
    }


async def test_progress_begins_with_the_state_now_and_ends_with_the_final_one(
    graph: Graph, team: Team, worker: Process
) -> None:
    await factories.contacts(team.app_id, 2_500)
    broadcast_id = await create(graph)
    async with graph.connect() as socket:
        frames = socket.frames(PROGRESS, id=broadcast_id)
        first = await anext(frames)
        assert (first["status"], first["ended"], first["stats"]["totalSent"]) == ("DRAFT", False, 0)
        await graph.change(SEND, id=broadcast_id)
        seen = [frame async for frame in frames]
    assert (seen[-1]["status"], seen[-1]["ended"], seen[-1]["pending"]) == ("SENT", True, 0)
    assert seen[-1]["stats"] == {"totalRecipients": 2_500, "totalSent": 2_500}


async def test_a_report_names_a_message_or_the_key_of_a_push(graph: Graph, team: Team) -> None:
    (device_id,) = await factories.contacts(team.app_id, 1)
    broadcast = await factories.expanded(team)
    device, key = graph.as_(await factories.device_token(device_id)), f"b{broadcast.id}:1"

    both = await device.refused(REPORT, receipts=[{"key": key, "messageId": str(device_id), "kind": "OPENED"}])
    neither = await device.refused(REPORT, receipts=[{"kind": "OPENED"}])
    taken = await device.change(REPORT, receipts=[{"key": key, "kind": "OPENED"}])

    message = "Give either messageId, or the key of a push."
    for (error,) in (both, neither):
        assert (error["code"], error["message"]) == ("BAD_USER_INPUT", message)
    assert taken["accepted"] == 1
