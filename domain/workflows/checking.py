"""Whether a definition can run: everything that is wrong with it is told at its node."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Invalid
from domain.workflows import configs, definition, graph, triggers, variables
from domain.workflows.configs import Config, Named, Reference
from domain.workflows.definition import Definition, Node
from domain.workflows.goals import Exit, Goal
from domain.workflows.nodes.kind import NEXT
from domain.workflows.nodes.table import KINDS
from domain.workflows.problems import Problem, ProblemCode, Refused
from models.broadcasts import Broadcast
from models.labels import Label
from models.segments import Segment
from models.team import Membership

PROBLEMS_MOST = 500
_ROWS: dict[Reference, tuple[sa.ColumnElement[UUID], sa.ColumnElement[UUID]]] = {
    Reference.SEGMENT: (Segment.id.expression, Segment.app_id.expression),
    Reference.LABEL: (Label.id.expression, Label.app_id.expression),
    Reference.BROADCAST: (Broadcast.id.expression, Broadcast.app_id.expression),
    Reference.USER: (Membership.user_id.expression, Membership.app_id.expression),
}


class _Mention(NamedTuple):
    """Where a thing is named."""

    named: Named
    node_id: str | None
    field: str


class Checked(NamedTuple):
    """A definition with its configs understood, and what is wrong; a config with problems is left out."""

    configs: dict[str, Config]
    problems: list[Problem]
    mentions: list[_Mention]


def understood(json: object, at: str = "definition") -> tuple[Definition | None, list[Problem]]:
    """The definition that `json` is; None with the problem when it has not the shape of one."""
    try:
        return definition.parse(json, at), []
    except Refused as error:
        return None, [Problem(error.problem, error.message, error.node_id, error.field)]
    except Invalid as error:
        return None, [Problem(ProblemCode.MALFORMED, error.message, None, error.field)]


async def check(session: AsyncSession, app_id: UUID, drawn: Definition) -> list[Problem]:
    """All that is wrong with a definition in this app, in the order of its nodes; 500 problems at most."""
    checked = read(drawn)
    problems = checked.problems + await _missing(session, app_id, checked.mentions)
    places = {node.id: no for no, node in reversed(list(enumerate(drawn.nodes)))}
    return sorted(problems, key=lambda one: places.get(one.node_id or "", -1))[:PROBLEMS_MOST]


def read(drawn: Definition) -> Checked:
    """All that can be told without looking into the app."""
    found, problems, mentions = dict[str, Config](), list[Problem](), list[_Mention]()
    for name, config, wrong in _whole(drawn):
        problems += wrong
        mentions += _mentions(config, None, name) if config else ()
    problems += graph.check(drawn)
    before = graph.ancestors(drawn)
    for node in drawn.nodes:
        config, wrong = _node(drawn, node)
        problems += wrong
        if config:
            found[node.id] = config
            mentions += _mentions(config, node.id, "config")
            problems += variables.check(node, config, variables.declared(drawn, before[node.id]))
    return Checked(found, problems, mentions)


def _whole(drawn: Definition) -> Iterable[tuple[str, Config | None, list[Problem]]]:
    """The trigger, the goal and the exit."""
    if drawn.trigger is None:
        message = "The workflow lets nobody in yet; give it a trigger."
        yield "trigger", None, [Problem(ProblemCode.TRIGGER_MISSING, message, field="trigger")]
    else:
        yield "trigger", *triggers.read(drawn.trigger.type, drawn.trigger.config)
    if drawn.goal is not None:
        yield "goal", *configs.read(Goal, drawn.goal, "goal")
    if drawn.exit is not None:
        exit_, wrong = configs.read(Exit, {"conditions": drawn.exit}, "exit")
        yield "exit", exit_, wrong


def _node(drawn: Definition, node: Node) -> tuple[Config | None, list[Problem]]:
    kind = KINDS.get(node.type)
    if kind is None:
        message = f"{node.id}: there is no node {node.type}; there are {', '.join(KINDS)}."
        return None, [Problem(ProblemCode.KIND_UNKNOWN, message, node.id, "type")]
    config, wrong = configs.read(kind.config, node.config, "config")
    problems = [Problem(one.code, one.message, node.id, one.field) for one in wrong]
    return config, problems + _ways(drawn, node, kind.branches(config) if config else None)


def _ways(drawn: Definition, node: Node, required: tuple[str, ...] | None) -> list[Problem]:
    """Branches that are missing or that there are not, and edges where there may be none.

    A node without any branch and edge is an end, whatever comes out; when one is drawn all must be.
    """
    kind, problems = KINDS[node.type], list[Problem]()
    has_edges = any(edge.source == node.id for edge in drawn.edges)
    if has_edges and not kind.plain:
        message = f"{node.id} must not have plain edges; {_way_out(required)}."
        problems.append(Problem(ProblemCode.EDGE_NOT_ALLOWED, message, node.id, "edges"))
    if required is None:
        return problems
    known = {*required, *kind.may_branch}
    for name in (name for name in node.branches if name not in known):
        message = f"{node.id} has no branch {name}; {_way_out((*required, *kind.may_branch))}."
        problems.append(Problem(ProblemCode.BRANCH_UNKNOWN, message, node.id, f"branches.{name}"))
    for name in (name for name in required if name not in node.branches and (node.branches or has_edges)):
        message = f"{node.id} has no branch {name} yet; say where it leads, or null where it ends."
        problems.append(Problem(ProblemCode.BRANCH_MISSING, message, node.id, f"branches.{name}"))
    return problems


def _way_out(branches: tuple[str, ...] | None) -> str:
    return f"it has the branches {', '.join(branches)}" if branches else f"it has the way {NEXT} alone"


def _mentions(config: Config, node_id: str | None, at: str) -> list[_Mention]:
    return [_Mention(named, node_id, f"{at}.{field}") for field, named in configs.names(config)]


async def _missing(session: AsyncSession, app_id: UUID, mentions: list[_Mention]) -> list[Problem]:
    """Those whose thing the app has not; a statement for each kind of thing."""
    wanted: dict[Reference, set[UUID]] = defaultdict(set)
    for mention in mentions:
        wanted[mention.named.kind].add(mention.named.id)
    known = set[Named]()
    for kind, ids in wanted.items():
        column, owner = _ROWS[kind]
        rows = await session.scalars(sa.select(column).where(owner == app_id, column.in_(ids)))
        known |= {Named(kind, id_) for id_ in rows}
    return [
        Problem(ProblemCode.REFERENCE_MISSING, f"There is no such {named.kind.value} in this app.", node_id, field)
        for named, node_id, field in mentions
        if named not in known
    ]
