"""Definitions as graphs: what follows what, and whether that makes sense. Linear in size, never recursive."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from domain.workflows.definition import Definition, Node
from domain.workflows.nodes.kind import NEXT
from domain.workflows.problems import Problem, ProblemCode

Links = Mapping[str, Mapping[str, tuple[str, ...]]]
Neighbours = Mapping[str, list[str]]


def links(definition: Definition) -> Links:
    """For each node the nodes that each of its ways leads to: its branches, and `next`, the way of plain edges."""
    found: dict[str, dict[str, tuple[str, ...]]] = {
        node.id: {name: (to,) if to else () for name, to in node.branches.items()} for node in definition.nodes
    }
    for edge in definition.edges:
        ways = found.setdefault(edge.source, {})
        ways[NEXT] = (*ways.get(NEXT, ()), edge.target)
    return found


def entry(definition: Definition) -> Node | None:
    """The node that runs begin with: the first to which nothing leads."""
    reached = {target for ways in links(definition).values() for several in ways.values() for target in several}
    return next((node for node in definition.nodes if node.id not in reached), None)


def check(definition: Definition) -> list[Problem]:
    """What is wrong with the graph: ids, edges, circles, several entries, what nothing leads to."""
    if not definition.nodes:
        return [Problem(ProblemCode.NODES_MISSING, "The workflow does nothing yet; add a node.", field="nodes")]
    problems = [*_twice(definition), *_edges(definition), *_branches(definition)]
    after, before = _neighbours(definition)
    circular = _circular(definition, after, before)
    problems += [_problem(ProblemCode.CYCLE, id_, "is part of a circle; nothing may lead back") for id_ in circular]
    return problems + _entries(definition, after, before, set(circular))


def _problem(code: ProblemCode, id_: str, message: str, field: str | None = None) -> Problem:
    return Problem(code, f"{id_} {message}.", id_, field)


def _twice(definition: Definition) -> Iterable[Problem]:
    counted = Counter(node.id for node in definition.nodes)
    return [
        _problem(ProblemCode.ID_TWICE, id_, "is the id of several nodes", "id") for id_ in counted if counted[id_] > 1
    ]


def _edges(definition: Definition) -> Iterable[Problem]:
    known = {node.id for node in definition.nodes}
    seen = Counter((edge.source, edge.target) for edge in definition.edges)
    for (source, target), count in seen.items():
        if source not in known or target not in known:
            here, there = (source, target) if source in known else (target, source)
            message = f"has an edge {'from' if here == target else 'to'} {there}, which there is not"
            yield Problem(ProblemCode.EDGE_DANGLING, f"{here} {message}.", here if here in known else None, "edges")
        elif count > 1:
            yield _problem(ProblemCode.EDGE_TWICE, source, f"has several edges to {target}", "edges")


def _branches(definition: Definition) -> Iterable[Problem]:
    known = {node.id for node in definition.nodes}
    for node in definition.nodes:
        for name, to in node.branches.items():
            if to is not None and to not in known:
                message = f"has a branch {name} to {to}, which there is not"
                yield _problem(ProblemCode.EDGE_DANGLING, node.id, message, f"branches.{name}")


def _neighbours(definition: Definition) -> tuple[Neighbours, Neighbours]:
    """The nodes after each, and those before each; of edges between nodes that there are."""
    known = {node.id for node in definition.nodes}
    after: dict[str, list[str]] = {id_: [] for id_ in known}
    before: dict[str, list[str]] = {id_: [] for id_ in known}
    for source, ways in links(definition).items():
        for target in {target for several in ways.values() for target in several}:
            if source in known and target in known:
                after[source].append(target)
                before[target].append(source)
    return after, before


def _circular(definition: Definition, after: Neighbours, before: Neighbours) -> list[str]:
    """The nodes of circles, and those between two circles, in the order of the definition."""
    left = _peeled(_peeled({node.id for node in definition.nodes}, after, before), before, after)
    return list(dict.fromkeys(node.id for node in definition.nodes if node.id in left))


def _peeled(left: set[str], after: Neighbours, before: Neighbours) -> set[str]:
    """What remains when nodes to which nothing leads are taken away, again and again."""
    leading = {id_: sum(one in left for one in before[id_]) for id_ in left}
    free = [id_ for id_, count in leading.items() if not count]
    remaining = set(left)
    while free:
        id_ = free.pop()
        remaining.discard(id_)
        for target in after[id_]:
            if target in leading:
                leading[target] -= 1
                if not leading[target]:
                    free.append(target)
    return remaining


def _entries(definition: Definition, after: Neighbours, before: Neighbours, circular: set[str]) -> list[Problem]:
    ids = list(dict.fromkeys(node.id for node in definition.nodes))
    free = [id_ for id_ in ids if not before[id_]]
    others, reached = free[1:], _reached(free[:1], after)
    problems = [
        _problem(ProblemCode.ENTRY_SEVERAL, id_, f"has nothing before it, as has {free[0]}, where runs begin")
        for id_ in others
    ]
    return problems + [
        _problem(ProblemCode.UNREACHABLE, id_, "can never be reached")
        for id_ in ids
        if id_ not in reached and id_ not in others and id_ not in circular
    ]


def _reached(start: list[str], after: Neighbours) -> set[str]:
    reached, waiting = set[str](), [*start]
    while waiting:
        id_ = waiting.pop()
        if id_ not in reached:
            reached.add(id_)
            waiting += after[id_]
    return reached


def ancestors(definition: Definition) -> dict[str, set[str]]:
    """The nodes that may come before each. Meant for 200 nodes."""
    _, before = _neighbours(definition)
    found: dict[str, set[str]] = defaultdict(set)
    for node in definition.nodes:
        found[node.id] = _reached([node.id], before) - {node.id}
    return found
