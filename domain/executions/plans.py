"""What a version says, understood once for each process: versions never change."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain import templates
from domain.segments import conditions
from domain.segments.conditions import Condition
from domain.workflows import checking, configs, definition, graph, triggers
from domain.workflows.configs import Config
from domain.workflows.definition import Definition, Reentry
from domain.workflows.goals import Goal
from domain.workflows.graph import Links
from domain.workflows.triggers import Trigger
from models.workflows import WorkflowVersion

KEPT = 500
OF_STEPS = "steps."
_plans: OrderedDict[UUID, "Plan"] = OrderedDict()


@dataclass(frozen=True)
class Plan:
    """A version as workers need it.

    Attributes:
        kinds: of its nodes, as definitions write them.
        entry: the node that executions begin with.
        reads_steps: the nodes that say something of earlier steps.
    """

    version_id: UUID
    workflow_id: UUID
    trigger: Trigger
    reentry: Reentry
    kinds: Mapping[str, str]
    configs: Mapping[str, Config]
    links: Links
    entry: str
    goal: Goal | None
    exit: Condition | None
    reads_steps: frozenset[str]

    def after(self, node_id: str, way: str) -> tuple[str, ...]:
        """The nodes that a way leads to."""
        return self.links[node_id].get(way, ())

    def has(self, node_id: str, way: str) -> bool:
        """Whether a way is drawn, also one that leads nowhere."""
        return way in self.links[node_id]


async def of(session: AsyncSession, version_id: UUID) -> Plan:
    """The plan of a version that is there."""
    found = _plans.get(version_id)
    if found is None:
        found = plan_of(await session.get_one(WorkflowVersion, version_id, populate_existing=True))
    _plans.move_to_end(version_id)
    return found


def plan_of(version: WorkflowVersion) -> Plan:
    """The plan of a version at hand."""
    if version.id not in _plans:
        _plans[version.id] = _read(version, definition.parse(version.definition))
        while len(_plans) > KEPT:
            _plans.popitem(last=False)
    return _plans[version.id]


def _read(version: WorkflowVersion, drawn: Definition) -> Plan:
    entry = graph.entry(drawn)
    trigger = triggers.read(drawn.trigger.type, drawn.trigger.config)[0] if drawn.trigger else None
    if entry is None or trigger is None:
        raise ValueError(f"version {version.id} was published incomplete")
    read = checking.read(drawn).configs
    return Plan(
        version_id=version.id,
        workflow_id=version.workflow_id,
        trigger=trigger,
        reentry=drawn.reentry,
        kinds={node.id: node.type for node in drawn.nodes},
        configs=read,
        links=graph.links(drawn),
        entry=entry.id,
        goal=configs.read(Goal, drawn.goal, "goal")[0] if drawn.goal else None,
        exit=conditions.parse(drawn.exit) if drawn.exit else None,
        reads_steps=frozenset(id_ for id_, config in read.items() if _reads_steps(config)),
    )


def _reads_steps(config: Config) -> bool:
    used = [variable for _, text in configs.templated(config) for variable in templates.compile(text, "").variables]
    return any(name.startswith(OF_STEPS) for name in [*used, *(variable for _, variable in config.variables())])
