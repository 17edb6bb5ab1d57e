"""Workflows while everything around them is hurt: every execution ends, every step has acted once. E5.

Long; `make faults` runs it, with random faults by REPLYHQ_FAULT_SEEDS.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa

from core.database import transaction
from core.errors import Unavailable
from domain.executions import tallies
from models.contacts import Contact
from models.devices import Device
from models.events import Event
from models.executions import ExecutionStatus, StepStatus, WorkflowExecution, WorkflowStep, WorkflowWait
from models.in_app_messages import InAppMessage
from models.workflow_signals import WorkflowSignal
from models.workflows import Workflow
from tests.jobs.test_random_faults import SEEDS
from tests.support import factories
from tests.support.executions import active
from tests.support.factories import Team
from tests.support.house import Fault, House
from tests.support.own_servers import OwnServers, used
from tests.support.receiver import Receiver, receiving
from tests.support.waiting import until
from tests.support.workflows import node, of
from tests.test_inbox_faults import Person

TRACK = """mutation($input: TrackEventsInput!) {
  trackEvents(input: $input) { tracked duplicates userErrors { code message field } } }"""
LEASE_SECONDS = 3.0
FREEZE_SECONDS = LEASE_SECONDS + 3.0
PAUSE_SECONDS = 1.0
EXECUTIONS, FAULTS_LEAST = 200, 12
pytestmark = pytest.mark.long


def drawn(url: str) -> dict[str, Any]:
    """Ten kinds of steps: two ways that part and meet, two calls, a wait, and an event that may come or not."""
    call = {"url": url, "retries": 10, "timeout_seconds": 3, "body": {"user": "{{ user_id }}"}}
    return of(
        node("greet", "send_message", body="Hello {{ contact.name }}"),
        node("greeted", "track_event", event_name="greeted"),
        node("pause", "wait", duration="1s"),
        node("call", "webhook", **call),
        node(
            "size",
            "condition",
            {"true": "big", "false": "small"},
            field="steps.call.output.body.score",
            operator="gte",
            value=7,
        ),
        node("big", "add_tag", tag="big"),
        node("small", "track_event", event_name="small"),
        node("await", "wait_for_event", {"received": "went", "timeout": "silent"}, event_name="go", timeout="4s"),
        node("went", "update_contact", attributes={"went": "yes"}),
        node("silent", "track_event", event_name="silent"),
        node("last", "webhook", **call),
        edges="greet-greeted greet-pause pause-call call-size big-await small-await went-last silent-last",
    )


@dataclass
class Scene:
    """All that is hurt, and what was done to it."""

    chance: random.Random
    servers: OwnServers
    house: House
    receiver: Receiver
    team: Team
    suffered: Counter[str] = field(default_factory=Counter)

    def plan(self) -> Iterator[Fault]:
        """Each fault once in every round, in an order that chance chooses."""
        house, servers = self.house, self.servers
        kinds: list[Fault] = [house.kill_worker, house.kill_worker, house.freeze_worker, house.deploy]
        kinds += [house.kill_api, house.kill_clocks, servers.flush_valkey, servers.restart_postgresql]
        while True:
            yield from self.chance.sample(kinds, len(kinds))

    async def suffer(self, work: "asyncio.Task[Any]", least: int) -> None:
        """Fault after fault until the work has ended."""
        for fault in self.plan():
            if work.done() and self.suffered.total() >= least:
                return
            await asyncio.sleep(self.chance.uniform(0, PAUSE_SECONDS))
            await fault()
            self.suffered[fault.__name__] += 1


@pytest.fixture
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    chance = random.Random(getattr(request, "param", 0))
    own = {"REPLYHQ_NAMESPACE": "workflow-faults", "REPLYHQ_OUTBOUND_ALLOW_LOOPBACK": "true"}
    async with used(**own, REPLYHQ_LEASE_SECONDS=str(LEASE_SECONDS)) as servers, receiving(chance) as receiver:
        house = House(chance, FREEZE_SECONDS)
        await asyncio.to_thread(house.start)
        yield Scene(chance, servers, house, receiver, await factories.team())
        await asyncio.to_thread(house.stop)


async def told(person: Person, name: str, users: Sequence[str]) -> None:
    """An event of each, told again under the same keys until it is answered."""
    for start in range(0, len(users), 20):
        some = users[start : start + 20]
        events = [{"name": name, "userId": one, "idempotencyKey": f"{name}-{one}"} for one in some]
        await person.change(TRACK, events=events)
        await asyncio.sleep(0.1)


async def ended(workflow: Workflow, count: int) -> bool:
    """Whether so many executions have ended, and nothing is left to be done. With the database away nobody knows."""
    over = sa.select(sa.func.count()).where(
        WorkflowExecution.workflow_id == workflow.id, WorkflowExecution.ended_at.is_not(None)
    )
    left = sa.select(sa.func.count()).select_from(WorkflowSignal)
    try:
        async with transaction() as session:
            return (await session.scalar(over), await session.scalar(left)) == (count, 0)
    except Unavailable:
        return False


async def run(scene: Scene, count: int, faults: int) -> Workflow:
    await factories.contacts(scene.team.app_id, count)
    workflow = await active(scene.team, drawn(scene.receiver.url))
    users = [f"user-{no}" for no in range(count)]
    person = Person([scene.house.api], scene.team.token)
    work = asyncio.create_task(_drive(person, workflow, users))
    await scene.suffer(work, faults)
    await work
    await until(lambda: ended(workflow, count), seconds=240)
    await person.close()
    return workflow


async def _drive(person: Person, workflow: Workflow, users: Sequence[str]) -> None:
    await told(person, "user_signup", users)
    await told(person, "go", users[::2])
    await until(lambda: ended(workflow, len(users)), seconds=600)


async def found(*rows: sa.Select[Any]) -> list[list[Any]]:
    async with transaction() as session:
        return [list(await session.execute(one)) for one in rows]


async def check(scene: Scene, workflow: Workflow, count: int) -> None:
    """Everything has happened once, and the counts say so."""
    of_it = WorkflowExecution.workflow_id == workflow.id
    statuses, steps, waits, events, messages, contacts = await found(
        sa.select(WorkflowExecution.status, WorkflowExecution.open_steps, sa.func.count())
        .where(of_it)
        .group_by(WorkflowExecution.status, WorkflowExecution.open_steps),
        sa.select(WorkflowStep.id, WorkflowStep.node_id, WorkflowStep.status, WorkflowStep.execution_id).where(
            WorkflowStep.workflow_id == workflow.id
        ),
        sa.select(WorkflowWait.id),
        sa.select(Event.contact_id, Event.name, sa.func.count()).group_by(Event.contact_id, Event.name),
        sa.select(Device.contact_id, sa.func.count())
        .join(InAppMessage, InAppMessage.device_id == Device.id)
        .group_by(Device.contact_id),
        sa.select(Contact.id, Contact.tags, Contact.attributes),
    )
    assert statuses == [(ExecutionStatus.COMPLETED, 0, count)], scene.suffered
    assert {row.status for row in steps} == {StepStatus.COMPLETED}
    assert waits == []
    per_node = Counter(row.node_id for row in steps)
    always = ("greet", "greeted", "pause", "call", "size", "big", "await", "last")
    assert {name: per_node[name] for name in always} == dict.fromkeys(always, count)
    assert per_node["went"] + per_node["silent"] == count
    assert [row[1] for row in messages] == [1] * count, "one message each"
    assert {row[2] for row in events} == {1}, "no event twice"
    named = Counter(row.name for row in events)
    assert (named["greeted"], named["silent"]) == (count, per_node["silent"])
    assert sum(row.attributes == {"went": "yes"} for row in contacts) == per_node["went"]
    assert all(row.tags == ["big"] for row in contacts)
    calls = {str(row.id) for row in steps if row.node_id in {"call", "last"}}
    assert set(scene.receiver.calls) == calls, "each call was made, and under its own key alone"
    await _check_counts(workflow, per_node, count)


async def _check_counts(workflow: Workflow, per_node: Counter[str], count: int) -> None:
    async with transaction() as session:
        assert workflow.active_version_id
        counted = await tallies.of_versions(session, workflow.app_id, [workflow.active_version_id])
    seen = {key[1]: (one["entered"], one["passed"]) for key, one in counted.items()}
    assert seen == {"": (count, count)} | {name: (no, no) for name, no in per_node.items()}


@pytest.mark.parametrize("scene", SEEDS, indirect=True)
async def test_every_execution_ends_and_every_step_acts_once(scene: Scene) -> None:
    scene.receiver.lost, scene.receiver.broken = 0.02, 0.02
    workflow = await run(scene, EXECUTIONS, FAULTS_LEAST)
    await check(scene, workflow, EXECUTIONS)
    assert scene.suffered.total() >= FAULTS_LEAST
