"""The engine under random graphs, random orders and random crashes. What must hold holds after every move. E5."""

from collections import Counter
from typing import Any

import sqlalchemy as sa
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import now
from core.database import transaction
from domain.executions import claiming, plans, stepping, tallies
from domain.executions.advancing import Claim
from domain.executions.answers import Reply, Sending
from jobs import workflows as jobs
from models.events import Event
from models.executions import ExecutionStatus, StepStatus, WorkflowExecution, WorkflowStep, WorkflowWait
from models.workflow_tallies import COUNTED
from models.workflows import Workflow
from tests.support import factories
from tests.support.executions import active, due_in_the_past, pause, resume, track, work
from tests.support.factories import Team
from tests.support.workflows import SIGNUP, acyclic

PLAIN = ("add_tag", "track_event", "wait", "webhook")
BRANCHES = {
    "condition": ("true", "false"),
    "wait_for_event": ("received", "timeout"),
    "random_split": ("one", "two"),
}
CONFIGS: dict[str, Any] = {
    "add_tag": {"tag": "t"},
    "wait": {"duration": "1m"},
    "webhook": {"url": "https://example.com/hook", "retries": 2},
    "condition": {"field": "event.properties.n", "operator": "gt", "value": 5},
    "wait_for_event": {"event_name": "go", "timeout": "2m"},
    "random_split": {"variants": [{"name": "one", "weight": 1}, {"name": "two", "weight": 1}]},
}
MOVES = ("step", "step", "twin", "twin", "crash", "expire", "later", "go", "pause", "resume", "fold")


@st.composite
def graphs(draw: Any) -> dict[str, Any]:
    """A definition whose nodes are reached, or not, by edges and branches."""
    names, edges = draw(acyclic(4, 12))
    after: dict[str, list[str]] = {name: [] for name in names}
    for source, target in edges:
        after[source].append(target)
    nodes, drawn = [], []
    for name in names:
        fitting = [kind for kind in BRANCHES if len(after[name]) <= 2] if after[name] else []
        kind = draw(st.sampled_from([*PLAIN, *fitting]))
        config = CONFIGS.get(kind, {"event_name": f"did_{name}"})
        branches = dict(zip(BRANCHES.get(kind, ()), [*after[name], None, None], strict=False))
        nodes.append({"id": name, "type": kind, "config": config, **({"branches": branches} if branches else {})})
        drawn += [{"from": name, "to": target} for target in after[name]] if not branches else []
    return {"trigger": SIGNUP, "nodes": nodes, "edges": drawn, "reentry": "ALWAYS"}


class Machine:
    """A workflow at work, moved on one move at a time by workers that may die."""

    def __init__(self, team: Team, workflow: Workflow, contact_id: Any, draw: Any, clock: Any) -> None:
        self.team, self.workflow, self.contact_id = team, workflow, contact_id
        self._draw, self._clock = draw, clock

    async def move(self, name: str) -> None:
        await getattr(self, name)()

    async def _claim(self) -> Claim | None:
        async with transaction() as session:
            claims = await claiming.claim(session, 1)
        return claims[0] if claims else None

    async def _take(self, claim: Claim) -> Claim | None:
        """One step, with an answer to its call that may be a failure."""
        async with transaction() as session:
            taken = await stepping.take(session, claim)
        if taken.call is None:
            return taken.claim
        assert not isinstance(taken.call, Sending)
        reply = Reply(200, b'{"n": 1}') if self._draw(st.booleans()) else Reply(503)
        async with transaction() as session:
            return (await stepping.answered(session, claim, taken.call, reply)).claim

    async def step(self) -> None:
        """A worker does a step, and those that follow as long as it lives."""
        claim = await self._claim()
        while claim is not None:
            claim = await self._take(claim)
            if self._draw(st.integers(0, 3)) == 0:
                return

    async def crash(self) -> None:
        """A worker dies with a step in hand, perhaps when its call is on its way."""
        claim = await self._claim()
        if claim is not None and self._draw(st.booleans()):
            async with transaction() as session:
                await stepping.take(session, claim)

    async def twin(self) -> None:
        """A worker that was thought dead comes back and does its step beside its heir."""
        claim = await self._claim()
        await due_in_the_past()
        await self.step()
        if claim is not None:
            await self._take(claim)

    async def expire(self) -> None:
        await due_in_the_past()

    async def later(self) -> None:
        self._clock.shift(61)

    async def go(self) -> None:
        await track(self.team, self.contact_id, "go")
        await jobs.take_all()

    async def pause(self) -> None:
        await pause(self.team, self.workflow)

    async def resume(self) -> None:
        await resume(self.team, self.workflow)
        async with transaction() as session:
            while await claiming.release(session):
                pass

    async def fold(self) -> None:
        async with transaction() as session:
            await tallies.fold(session)

    async def finish(self) -> None:
        """Everybody lives again, and time goes by."""
        await self.resume()
        for _ in range(100):
            await due_in_the_past()
            while (claim := await self._claim()) is not None:
                while claim is not None:
                    claim = await self._take(claim)
            if not await self._running():
                return
            self._clock.shift(3_700)
        raise AssertionError("an execution never ends")

    async def _running(self) -> int:
        own = sa.select(sa.func.count()).where(
            WorkflowExecution.workflow_id == self.workflow.id, WorkflowExecution.status == ExecutionStatus.RUNNING
        )
        async with transaction() as session:
            return await session.scalar(own) or 0

    async def check(self) -> None:
        """What must hold at every moment."""
        async with transaction() as session:
            rows = await session.scalars(sa.select(WorkflowExecution).filter_by(workflow_id=self.workflow.id))
            executions = {row.id: row for row in rows}
            steps = (await session.scalars(sa.select(WorkflowStep).filter_by(workflow_id=self.workflow.id))).all()
            waits = (await session.scalars(sa.select(WorkflowWait).filter_by(app_id=self.team.app_id))).all()
            events = await session.scalars(sa.select(Event.name).filter_by(app_id=self.team.app_id))
            assert self.workflow.active_version_id
            counts = await tallies.of_versions(session, self.team.app_id, [self.workflow.active_version_id])
            plan = await plans.of(session, self.workflow.active_version_id)
        open_ = Counter(step.execution_id for step in steps if step.ended_at is None)
        for id_, row in executions.items():
            assert row.open_steps == open_[id_]
            assert (row.status is ExecutionStatus.RUNNING) == (open_[id_] > 0)
        waiting = {step.id for step in steps if step.status is StepStatus.WAITING or step.ended_at is None}
        assert {wait.step_id for wait in waits} <= waiting, "nobody waits for an event whose step has ended"
        done = Counter(name for name in events if name.startswith("did_"))
        tracked = [step for step in steps if step.kind == "track_event" and step.status is StepStatus.COMPLETED]
        assert done == Counter(f"did_{step.node_id}" for step in tracked), "acted once"
        for step in steps:
            ways = [one for one in steps if one.execution_id == step.execution_id and one.branch]
            led = [one for one in ways if step.node_id in plan.after(one.node_id, one.branch or "")]
            assert led or step.node_id == plan.entry, "nothing is reached but by a way that was taken"
        assert {key[1]: _seen(numbers) for key, numbers in counts.items()} == _recounted(
            list(executions.values()), steps
        )


def _seen(numbers: dict[str, Any]) -> dict[str, int]:
    return {name: numbers[name] for name in COUNTED if name not in {"seconds", "converted"} and numbers[name]}


def _recounted(executions: list[WorkflowExecution], steps: Any) -> dict[str, dict[str, int]]:
    ends = {"COMPLETED": "passed", "FAILED": "failed", "EXITED": "exited", "CANCELLED": "cancelled"}
    found: dict[str, Counter[str]] = {"": Counter()}
    for row in executions:
        found[""] += Counter(["entered", *filter(None, [ends.get(row.status.value)])])
    for step in steps:
        left = {"COMPLETED": "passed", "FAILED": "failed", "SKIPPED": "exited"}.get(step.status.value)
        found.setdefault(step.node_id, Counter()).update(["entered", *filter(None, [left])])
    return {name: dict(counted) for name, counted in found.items()}


@settings(max_examples=6)
@given(data=st.data())
async def test_whatever_dies_whenever_each_step_acts_once_and_each_execution_ends(data: st.DataObject) -> None:
    definition = data.draw(graphs())
    moves = data.draw(st.lists(st.sampled_from(MOVES), min_size=10, max_size=25))
    with time_machine.travel(now(), tick=True) as clock:
        await work()
        team = await factories.team()
        contact = await factories.person(team.app_id)
        machine = Machine(team, await active(team, definition), contact.id, data.draw, clock)
        await happens_unseen(team, contact.id, data.draw(st.integers(0, 10)))
        for name in moves:
            await machine.move(name)
            await machine.check()
        await machine.finish()
        await machine.check()


async def happens_unseen(team: Team, contact_id: Any, number: int) -> None:
    """Two sign-ups; nobody has done a step yet."""
    for _ in range(2):
        await track(team, contact_id, "user_signup", n=number)
    await jobs.take_all()
