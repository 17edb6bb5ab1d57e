"""Definitions of workflows: a trigger, nodes and edges, read from JSON and written back as they were.

The form is that of the visual builder: `{id, type, config, branches}`, `{from, to}`. What is read here has the right
shape and size; a draft may be incomplete. Whether it makes sense is told by `checking`.
"""

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.errors import Invalid
from domain import checks
from domain.workflows.problems import ProblemCode, Refused

NODES_MOST = 200
EDGES_MOST = 1_000
BRANCHES_MOST = 10
BYTES_MOST = 100 * 1024
NAME_MOST = 100
FARTHEST = 1_000_000
Json = dict[str, Any]
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Reentry(StrEnum):
    """Whether a contact who has been in a workflow may come in again."""

    ONCE = "ONCE"
    AFTER_END = "AFTER_END"
    ALWAYS = "ALWAYS"


@dataclass(frozen=True)
class Trigger:
    """What lets contacts in, of any kind; `config` is all that is said besides."""

    type: str
    config: Json


@dataclass(frozen=True)
class Position:
    """Where a node stands in the builder."""

    x: float
    y: float


@dataclass(frozen=True)
class Node:
    """A step, of any kind.

    Attributes:
        branches: the node that each branch leads to; None where it ends.
        name: what people call it.
    """

    id: str
    type: str
    config: Json
    branches: dict[str, str | None]
    position: Position | None = None
    name: str | None = None


@dataclass(frozen=True)
class Edge:
    """What comes after what. Several that leave one node are all followed."""

    source: str
    target: str


@dataclass(frozen=True)
class Definition:
    """A workflow as it is drawn.

    Attributes:
        goal: the event that counts as success, `{event_name, within, properties}`; it ends the run.
        exit: a condition on the contact, as of segments, that ends the run when it holds before a step.
    """

    trigger: Trigger | None = None
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    reentry: Reentry = Reentry.AFTER_END
    goal: Json | None = None
    exit: Json | None = None


def parse(json: object, at: str = "definition") -> Definition:
    """The definition that `json` is; `at` is where it stands.

    Raises:
        Invalid: it has not the shape of one, or is larger than 200 nodes, 1,000 edges or 100 KiB.
    """
    whole = _object(json, at, {"trigger", "nodes", "edges", "reentry", "goal", "exit"})
    nodes, edges = _list(whole, "nodes", at, NODES_MOST), _list(whole, "edges", at, EDGES_MOST)
    checks.json_object(whole, at, most_bytes=BYTES_MOST)
    return Definition(
        trigger=_trigger(whole.get("trigger"), f"{at}.trigger"),
        nodes=tuple(_node(one, f"{at}.nodes.{no}") for no, one in enumerate(nodes)),
        edges=tuple(_edge(one, f"{at}.edges.{no}") for no, one in enumerate(edges)),
        reentry=_reentry(whole.get("reentry"), f"{at}.reentry"),
        goal=_optional_object(whole.get("goal"), f"{at}.goal"),
        exit=_optional_object(whole.get("exit"), f"{at}.exit"),
    )


def _object(json: object, at: str, known: Collection[str] | None = None) -> Json:
    if not isinstance(json, dict):
        raise Invalid(f"{at} must be an object.", field=at)
    for key in json:
        if known is not None and key not in known:
            there = f"{at}.{str(key)[:NAME_MOST]}"
            raise Invalid(f"{there} means nothing here; there are {', '.join(sorted(known))}.", field=there)
    return json


def _optional_object(json: object, at: str) -> Json | None:
    return None if json is None else _object(json, at)


def _list(whole: Json, name: str, at: str, most: int) -> list[Any]:
    """A list that is not too long; says at which node it becomes so."""
    found, there = whole.get(name), f"{at}.{name}"
    if found is None:
        return []
    if not isinstance(found, list):
        raise Invalid(f"{there} must be a list.", field=there)
    if len(found) > most:
        first = found[most]
        node_id = first.get("id") if isinstance(first, dict) and name == "nodes" else None
        message = f"{there} may hold at most {most} entries; it has {len(found)}."
        raise Refused(ProblemCode.TOO_LARGE, message, field=f"{there}.{most}", node_id=_id_of(node_id))
    return found


def _id_of(value: object) -> str | None:
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def _trigger(json: object, at: str) -> Trigger | None:
    if json is None:
        return None
    found = _object(json, at)
    return Trigger(_text(found.get("type"), f"{at}.type"), {name: one for name, one in found.items() if name != "type"})


def _text(value: object, at: str) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{at} must be text.", field=at)
    return checks.text(value, at, most=NAME_MOST)


def _id(value: object, at: str) -> str:
    if (found := _id_of(value)) is None:
        raise Invalid(f"{at} must be the id of a node: 1 to 64 letters, digits, _ or -.", field=at)
    return found


def _node(json: object, at: str) -> Node:
    found = _object(json, at)
    id_ = _id(found.get("id"), f"{at}.id")
    try:
        return _rest(found, id_, at)
    except Invalid as error:
        raise Refused(ProblemCode.MALFORMED, error.message, field=error.field or at, node_id=id_) from None


def _rest(found: Json, id_: str, at: str) -> Node:
    _object(found, at, {"id", "type", "config", "branches", "position", "name"})
    name, config = found.get("name"), found.get("config")
    return Node(
        id=id_,
        type=_text(found.get("type"), f"{at}.type"),
        config={} if config is None else _object(config, f"{at}.config"),
        branches=_branches(found.get("branches"), f"{at}.branches"),
        position=_position(found.get("position"), f"{at}.position"),
        name=None if name is None else _text(name, f"{at}.name"),
    )


def _branches(json: object, at: str) -> dict[str, str | None]:
    found = {} if json is None else _object(json, at)
    checks.at_most(list(found), at, BRANCHES_MOST)
    return {_text(name, at): None if to is None else _id(to, f"{at}.{name[:NAME_MOST]}") for name, to in found.items()}


def _position(json: object, at: str) -> Position | None:
    if json is None:
        return None
    found = _object(json, at, {"x", "y"})
    return Position(_number(found.get("x"), f"{at}.x"), _number(found.get("y"), f"{at}.y"))


def _number(value: object, at: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.fabs(value) <= FARTHEST:
        raise Invalid(f"{at} must be a number of at most a million, on either side of 0.", field=at)
    return value


def _edge(json: object, at: str) -> Edge:
    found = _object(json, at, {"from", "to"})
    return Edge(_id(found.get("from"), f"{at}.from"), _id(found.get("to"), f"{at}.to"))


def _reentry(value: object, at: str) -> Reentry:
    if value is None:
        return Reentry.AFTER_END
    try:
        return Reentry(str(value).upper())
    except ValueError:
        raise Invalid(f"{at} must be one of {', '.join(Reentry)}.", field=at) from None


def dump(definition: Definition) -> Json:
    """The form in JSON: `parse` reads it back as the same definition. What says nothing is left out."""
    trigger, several = definition.trigger, {"goal": definition.goal, "exit": definition.exit}
    reentry = {} if definition.reentry is Reentry.AFTER_END else {"reentry": definition.reentry.value}
    return {
        **({"trigger": {"type": trigger.type, **trigger.config}} if trigger else {}),
        "nodes": [_dumped(one) for one in definition.nodes],
        "edges": [{"from": one.source, "to": one.target} for one in definition.edges],
        **reentry,
        **{name: one for name, one in several.items() if one is not None},
    }


def _dumped(node: Node) -> Json:
    position = {"position": {"x": node.position.x, "y": node.position.y}} if node.position else {}
    name = {"name": node.name} if node.name is not None else {}
    branches = {"branches": dict(node.branches)} if node.branches else {}
    return {"id": node.id, "type": node.type, "config": node.config, **branches, **position, **name}
