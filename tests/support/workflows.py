"""Definitions to test with: those of the source, random graphs, and definitions with one thing wrong."""

from typing import Any

from hypothesis import strategies as st

from domain.workflows.definition import Definition, Edge, Node, Position, Reentry, Trigger
from domain.workflows.nodes.table import KINDS

SIGNUP = {"type": "event", "event_name": "user_signup"}
WINBACK: dict[str, Any] = {
    "trigger": {"type": "event", "event_name": "user_inactive_30d"},
    "nodes": [
        {
            "id": "node_1",
            "type": "send_message",
            "config": {"body": "We miss you! Come back for 20% off.", "data": {"action": "open_offer"}},
        },
        {"id": "node_2", "type": "wait", "config": {"duration": "3d"}},
        {
            "id": "node_3",
            "type": "condition",
            "config": {"field": "last_active", "operator": "gt", "value": "now() - 7d"},
        },
    ],
    "edges": [{"from": "node_1", "to": "node_2"}, {"from": "node_2", "to": "node_3"}],
}
ONBOARDING: dict[str, Any] = {
    "trigger": SIGNUP,
    "nodes": [
        {
            "id": "node_1",
            "type": "send_message",
            "config": {"body": "Welcome to our app!", "data": {"action": "open_onboarding"}},
        },
        {"id": "node_2", "type": "wait", "config": {"duration": "3d"}},
        {
            "id": "node_4",
            "type": "condition",
            "config": {"field": "event_count", "operator": "gte", "value": 5},
            "branches": {"true": "node_5", "false": "node_6"},
        },
        {
            "id": "node_5",
            "type": "webhook",
            "config": {
                "url": "https://example.com/api/notify",
                "method": "POST",
                "body": {"user_id": "{{user_id}}", "event": "workflow_completed"},
            },
        },
        {
            "id": "node_6",
            "type": "track_event",
            "config": {"event_name": "workflow_conversion", "properties": {"workflow_id": "{{workflow_id}}"}},
        },
    ],
    "edges": [{"from": "node_1", "to": "node_2"}, {"from": "node_2", "to": "node_4"}],
}


def of(*nodes: dict[str, Any], edges: str = "", **rest: Any) -> dict[str, Any]:
    """A definition of some nodes; edges as `a-b b-c`. Nodes without a type wait for a minute."""
    full = [node if "type" in node else {**node, "type": "wait", "config": {"duration": "1m"}} for node in nodes]
    pairs = [pair.split("-") for pair in edges.split()]
    return {"trigger": SIGNUP, "nodes": full, "edges": [{"from": a, "to": b} for a, b in pairs], **rest}


def node(id_: str, type_: str = "wait", branches: dict[str, str | None] | None = None, **config: Any) -> dict[str, Any]:
    """A node."""
    told = config or ({"duration": "1m"} if type_ == "wait" else {})
    return {"id": id_, "type": type_, "config": told, **({"branches": branches} if branches is not None else {})}


ids = st.text("abcXYZ012_-", min_size=1, max_size=5)
words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e6, 1e6) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)
objects = st.dictionaries(words, values, max_size=3)
places = st.floats(-1e6, 1e6) | st.integers(-10, 10)
nodes = st.builds(
    Node,
    ids,
    st.sampled_from(sorted(KINDS)) | words,
    objects,
    st.dictionaries(words, st.none() | ids, max_size=3),
    st.none() | st.builds(Position, places, places),
    st.none() | words,
)
definitions = st.builds(
    Definition,
    st.none() | st.builds(Trigger, words, st.dictionaries(words.filter(lambda one: one != "type"), values, max_size=2)),
    st.lists(nodes, max_size=4).map(tuple),
    st.lists(st.builds(Edge, ids, ids), max_size=4).map(tuple),
    st.sampled_from(Reentry),
    st.none() | objects,
    st.none() | objects,
)


@st.composite
def acyclic(draw: Any, least: int = 1, most: int = 30) -> tuple[list[str], list[tuple[str, str]]]:
    """The nodes of a graph without circles in some order, and its edges: each node but the first has some before it."""
    count = draw(st.integers(least, most))
    names = [f"n{no}" for no in range(count)]
    edges = [
        (names[before], names[no])
        for no in range(1, count)
        for before in draw(st.sets(st.integers(0, no - 1), min_size=1, max_size=3))
    ]
    return draw(st.permutations(names)), draw(st.permutations(edges))
