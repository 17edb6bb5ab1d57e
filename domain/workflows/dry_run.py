"""A dry run: which way a contact would take through a definition, and why. It sends, waits and changes nothing."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Invalid
from domain import contacts, templates
from domain.segments import conditions, evaluating, previews
from domain.segments.conditions import Condition, Field
from domain.workflows import checking, configs, graph, triggers
from domain.workflows.configs import Config
from domain.workflows.definition import Definition, Node
from domain.workflows.nodes.kind import NEXT, Outcome
from domain.workflows.nodes.table import KINDS
from domain.workflows.problems import Problem
from domain.workflows.triggers import EventTracked
from models.apps import App
from models.contacts import Contact
from models.workflows import Workflow

STEPS = "steps."


@dataclass(frozen=True)
class Pretence:
    """What is taken to have happened.

    Attributes:
        properties: of the event that lets the contact in.
        outcomes: the branch by which some nodes are left.
    """

    properties: Mapping[str, Any] = field(default_factory=dict)
    outcomes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A node on the way.

    Attributes:
        at: when it is reached.
        branch: by which it is left; None by plain edges, or where the way ends.
        config: what it is set to, with the variables that are known put in.
    """

    node: Node
    at: datetime
    branch: str | None
    reason: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class DryRun:
    """Whether the contact would be let in, and their way. With problems there is none."""

    enters: bool
    reason: str
    steps: Sequence[Step] = ()
    problems: Sequence[Problem] = ()


@dataclass(frozen=True)
class _Run:
    """One dry run, and its moment: what nodes are tried out in."""

    session: AsyncSession
    workflow: Workflow
    contact: Contact
    app_name: str
    pretence: Pretence
    at: datetime
    node_id: str = ""

    @property
    def contact_id(self) -> UUID:
        return self.contact.id

    @property
    def time_zone(self) -> str | None:
        return self.contact.time_zone

    @property
    def salt(self) -> str:
        return f"{self.workflow.id}:{self.node_id}"

    def reaching(self, node_id: str, at: datetime) -> "_Run":
        return _Run(self.session, self.workflow, self.contact, self.app_name, self.pretence, at, node_id)

    async def holds(self, condition: Condition) -> bool:
        return await previews.fits(self.session, self.workflow.app_id, self.contact.id, condition, self.at)

    def compares(self, comparison: Field) -> bool | None:
        if comparison.field.startswith(STEPS):
            return None
        known = SimpleNamespace(properties={"event": {"properties": dict(self.pretence.properties)}})
        return evaluating.fit([comparison], known, self.at)

    def values(self) -> dict[str, templates.Value]:
        """What variables stand for, as far as it is known."""
        of_event = {f"event.properties.{name}": value for name, value in self.pretence.properties.items()}
        scalars = {name: value for name, value in of_event.items() if isinstance(value, templates.Scalar)}
        own = {"user_id": self.contact.external_id, "contact_id": str(self.contact.id)}
        of_contact = templates.values_of(self.contact, app_name=self.app_name, platform="")
        return {**of_contact, **scalars, **own, "workflow_id": str(self.workflow.id)}


async def run(
    session: AsyncSession,
    workflow: Workflow,
    drawn: Definition,
    contact_id: UUID,
    pretence: Pretence,
    at: datetime,
) -> DryRun:
    """Try a definition of a workflow out with a contact of its app, at `at`.

    Raises:
        NotFound: the app has no such contact.
        Invalid: the pretence names a node or a branch that there is not.
    """
    contact = await contacts.get(session, workflow.app_id, contact_id, field="contactId")
    if problems := await checking.check(session, workflow.app_id, drawn):
        return DryRun(enters=False, reason="The workflow has problems; mend them first.", problems=problems)
    _refuse_unknown(drawn, pretence)
    app_name = (await session.scalars(sa.select(App.name).where(App.id == workflow.app_id))).one()
    scene = _Run(session, workflow, contact, app_name, pretence, at)
    if refusal := await _refused(drawn, scene):
        return DryRun(enters=False, reason=refusal)
    return DryRun(enters=True, reason="The trigger lets the contact in.", steps=await _steps(drawn, scene))


def _refuse_unknown(drawn: Definition, pretence: Pretence) -> None:
    read, nodes = checking.read(drawn).configs, {node.id: node for node in drawn.nodes}
    for node_id, branch in pretence.outcomes.items():
        kind = KINDS[nodes[node_id].type] if node_id in nodes else None
        if kind is None or branch not in {*kind.branches(read[node_id]), *kind.may_branch}:
            raise Invalid("outcomes must name nodes of the workflow, and branches that they have.", field="outcomes")


async def _refused(drawn: Definition, scene: _Run) -> str | None:
    """Why the trigger does not let the contact in."""
    trigger = triggers.read(drawn.trigger.type, drawn.trigger.config)[0] if drawn.trigger else None
    if isinstance(trigger, EventTracked) and trigger.properties:
        event = SimpleNamespace(properties=dict(scene.pretence.properties))
        if not evaluating.fit(trigger.properties, event, scene.at):
            return "The event has not the properties that the trigger asks for."
    if trigger and trigger.conditions and not await scene.holds(trigger.conditions):
        return "The contact does not fit the condition of the trigger."
    return None


async def _steps(drawn: Definition, start: _Run) -> list[Step]:
    """The nodes on the way in the order of time; one that is reached by several ways acts once."""
    read, links = checking.read(drawn).configs, graph.links(drawn)
    nodes, entry = {node.id: node for node in drawn.nodes}, graph.entry(drawn)
    exit_ = conditions.parse(drawn.exit) if drawn.exit else None
    order, steps, seen = count(), list[Step](), set[str]()
    waiting = [(start.at, next(order), entry.id)] if entry else []
    while waiting:
        at, _, node_id = heapq.heappop(waiting)
        if node_id in seen:
            continue
        seen.add(node_id)
        scene, node = start.reaching(node_id, at), nodes[node_id]
        if exit_ and await scene.holds(exit_):
            return [*steps, Step(node, at, None, "The contact fits the exit: the run ends before this node.", {})]
        outcome = await _outcome(node, read[node_id], scene)
        steps.append(Step(node, at, outcome.branch, outcome.reason, _rendered(read[node_id], node, scene)))
        if node.type == "exit":
            return steps
        for target in links[node_id].get(outcome.branch or NEXT, ()):
            heapq.heappush(waiting, (outcome.at, next(order), target))
    return steps


async def _outcome(node: Node, config: Config, scene: _Run) -> Outcome:
    if pretended := scene.pretence.outcomes.get(node.id):
        return Outcome(scene.at, f"You have chosen the branch {pretended}.", pretended)
    return await KINDS[node.type].tried(config, scene)


def _rendered(config: Config, node: Node, scene: _Run) -> dict[str, Any]:
    """The config with variables put in; those that are not known yet stay as they are written."""
    marked = {name for name, _ in configs.templated(config)}
    values = scene.values()
    return {name: _filled(one, values) if name in marked else one for name, one in node.config.items()}


def _filled(value: Any, values: Mapping[str, templates.Value]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(one, values) for name, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, values) for one in value]
    return "".join(_pieces(value, values)) if isinstance(value, str) else value


def _pieces(text: str, values: Mapping[str, templates.Value]) -> Iterator[str]:
    for piece in templates.compile(text, "config").pieces:
        if isinstance(piece, str):
            yield piece
            continue
        known = templates.Template((piece,))
        try:
            yield known.render(values)
        except templates.MissingValue:
            yield f"{{{{ {piece.variable} }}}}"
