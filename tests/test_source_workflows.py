"""The workflows of the source, from an event over the API to the message on a connected device, while time is moved."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine

from core.clock import now
from core.database import transaction
from models.devices import Device
from models.workflows import Workflow
from tests.support import factories
from tests.support.executions import active, executions, happens, step_rows, steps, work
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.receiver import Receiver
from tests.support.workflows import ONBOARDING, WINBACK
from tests.test_broadcasts import RECEIVE

TRACK = """mutation($input: TrackEventInput!) { trackEvent(input: $input) {
  event { id } userErrors { code message field } } }"""
DAY = timedelta(days=1)
AHEAD = timedelta(seconds=5)
"""The worker's clock is not behind that of the API, which is real."""


async def person(team: Team) -> tuple[UUID, UUID]:
    """A contact and their device."""
    (device_id,) = await factories.contacts(team.app_id, 1)
    async with transaction() as session:
        return (await session.get_one(Device, device_id)).contact_id, device_id


async def tells(graph: Graph, contact_id: UUID, name: str, count: int = 1) -> None:
    for _ in range(count):
        await graph.change(TRACK, contactId=str(contact_id), name=name)
    await work()


async def seen_since(contact_id: UUID, days: float) -> None:
    """The device was last seen so long ago."""
    async with transaction() as session:
        theirs = sa.update(Device).where(Device.contact_id == contact_id)
        await session.execute(theirs.values(last_seen_at=now() - days * DAY))


@pytest.mark.parametrize(("days", "branch"), [(1, "true"), (30, "false")])
async def test_winback_30_days(graph: Graph, team: Team, days: float, branch: str) -> None:
    contact_id, device_id = await person(team)
    workflow = await active(team, WINBACK)
    with time_machine.travel(now() + AHEAD, tick=True) as clock:
        async with graph.as_(await factories.device_token(device_id)).connect() as socket:
            frames = socket.frames(RECEIVE)
            await tells(graph, contact_id, "user_inactive_30d")
            message = await anext(frames)
        assert (message["body"], message["data"]) == ("We miss you! Come back for 20% off.", {"action": "open_offer"})
        clock.shift(3 * DAY)
        await seen_since(contact_id, days)
        await work()
    assert await ways(workflow) == [("node_1", "next"), ("node_2", "next"), ("node_3", branch)]


async def ways(workflow: Workflow) -> list[tuple[str, str | None]]:
    return [(row.node_id, row.branch) for row in await step_rows(workflow)]


def onboarding(url: str) -> dict[str, Any]:
    """The source's, with its server on this machine."""
    nodes = [
        {**one, "config": {**one["config"], "url": url}} if one["type"] == "webhook" else one
        for one in ONBOARDING["nodes"]
    ]
    return {**ONBOARDING, "nodes": nodes, "goal": {"event_name": "upgraded"}}


async def test_onboarding_and_upsell(graph: Graph, team: Team, receiver: Receiver) -> None:
    contact_id, device_id = await person(team)
    workflow = await active(team, onboarding(receiver.url))
    with time_machine.travel(now() + AHEAD, tick=True) as clock:
        async with graph.as_(await factories.device_token(device_id)).connect() as socket:
            frames = socket.frames(RECEIVE)
            await tells(graph, contact_id, "user_signup")
            assert (await anext(frames))["body"] == "Welcome to our app!"
        await tells(graph, contact_id, "used", 5)
        clock.shift(3 * DAY)
        await work()
        await happens(team, contact_id, "upgraded")
    assert [one[0] for one in await steps(workflow)] == ["node_1", "node_2", "node_4", "node_5"]
    assert list(receiver.bodies.values()) == [{"user_id": "user-0", "event": "workflow_completed"}]
    (ended,) = await executions(workflow)
    assert (ended.status.value, ended.converted_at is None) == ("COMPLETED", False)


async def test_who_does_little_goes_the_other_way(graph: Graph, team: Team, receiver: Receiver) -> None:
    contact_id, _ = await person(team)
    workflow = await active(team, onboarding(receiver.url))
    with time_machine.travel(now() + AHEAD, tick=True) as clock:
        await tells(graph, contact_id, "user_signup")
        clock.shift(3 * DAY)
        await work()
    assert [one[0] for one in await steps(workflow)] == ["node_1", "node_2", "node_4", "node_6"]
    assert receiver.calls.total() == 0
