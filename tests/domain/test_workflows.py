"""Definitions of workflows: read and written back, and every problem told at its node. E2, E3, E6."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import config
from core.database import transaction
from core.errors import Invalid
from core.ids import new_id
from domain.timing import Weekday
from domain.workflows import checking, definition, diffing, graph
from domain.workflows.nodes.random_split import RandomSplit, Variant
from domain.workflows.nodes.table import KINDS
from domain.workflows.nodes.wait_until import WaitUntil
from domain.workflows.problems import Problem
from tests.support import factories, inbox
from tests.support.factories import Team
from tests.support.workflows import ONBOARDING, SIGNUP, WINBACK, acyclic, definitions, node, of

MANY = settings(deadline=None, max_examples=150)


def problems(json: object) -> list[Problem]:
    drawn, wrong = checking.understood(json)
    return wrong if drawn is None else checking.read(drawn).problems


def told(json: object) -> list[tuple[str | None, str]]:
    return [(one.node_id, one.code.value) for one in problems(json)]


@pytest.mark.parametrize("json", [WINBACK, ONBOARDING], ids=["winback", "onboarding"])
def test_the_examples_of_the_source_are_fine_and_come_back_as_they_were(json: dict[str, Any]) -> None:
    assert definition.dump(definition.parse(json)) == json
    assert problems(json) == []


@MANY
@given(definitions)
def test_a_definition_comes_back_as_it_was(drawn: definition.Definition) -> None:
    assert definition.parse(definition.dump(drawn)) == drawn


@MANY
@given(acyclic())
def test_a_graph_without_circles_from_one_entry_is_fine(drawn: tuple[list[str], list[tuple[str, str]]]) -> None:
    names, edges = drawn
    json = of(*map(node, names), edges=" ".join(f"{a}-{b}" for a, b in edges))
    assert problems(json) == []
    assert graph.entry(definition.parse(json)).id == "n0"


@MANY
@given(acyclic(), st.data())
def test_every_circle_is_refused_at_its_nodes(
    drawn: tuple[list[str], list[tuple[str, str]]], data: st.DataObject
) -> None:
    names, edges = drawn
    source, target = data.draw(st.sampled_from(edges)) if edges else ("n0", "n0")
    back = [*edges, (target, source)] if edges else [("n0", "n0")]
    found = told(of(*map(node, names), edges=" ".join(f"{a}-{b}" for a, b in back)))
    assert {(source, "CYCLE"), (target, "CYCLE")} <= set(found)


def test_ten_thousand_nodes_are_refused_before_any_is_looked_at() -> None:
    without_type = [{"id": f"n{no}"} for no in range(10_000)]
    assert told({"trigger": SIGNUP, "nodes": without_type, "edges": []}) == [("n200", "TOO_LARGE")]
    assert told({"trigger": SIGNUP, "nodes": without_type[:200], "edges": []}) == [("n0", "MALFORMED")]


A, B = node("a"), node("b")
SPLIT = {"variants": [{"name": "x", "weight": 1}, {"name": "y", "weight": 2}]}
WRONG: dict[str, tuple[dict[str, Any], list[tuple[str | None, str]]]] = {
    "no trigger": ({**of(A), "trigger": None}, [(None, "TRIGGER_MISSING")]),
    "unknown trigger": (of(A, trigger={"type": "moon"}), [(None, "KIND_UNKNOWN")]),
    "trigger without event": (of(A, trigger={"type": "event"}), [(None, "CONFIG_MISSING")]),
    "cron too often": (of(A, trigger={"type": "schedule", "cron": "* * * * *"}), [(None, "CONFIG_INVALID")]),
    "device field": (of(A, trigger={"type": "attribute_changed", "field": "platform"}), [(None, "CONFIG_INVALID")]),
    "no nodes": (of(), [(None, "NODES_MISSING")]),
    "unknown kind": (of(node("a", "teleport")), [("a", "KIND_UNKNOWN")]),
    "id twice": (of(A, A), [("a", "ID_TWICE")]),
    "bad id": (of(node("a b")), [(None, "MALFORMED")]),
    "bad node": (of({**A, "color": "red"}), [("a", "MALFORMED")]),
    "edge twice": (of(A, B, edges="a-b a-b"), [("a", "EDGE_TWICE")]),
    "edge to nowhere": (of(A, edges="a-z"), [("a", "EDGE_DANGLING")]),
    "edge from nowhere": (of(A, edges="z-a"), [("a", "EDGE_DANGLING")]),
    "branch to nowhere": (of(node("a", "exit", {"x": "z"})), [("a", "EDGE_DANGLING"), ("a", "BRANCH_UNKNOWN")]),
    "itself": (of(A, edges="a-a"), [("a", "CYCLE")]),
    "two entries": (of(A, B), [("b", "ENTRY_SEVERAL")]),
    "apart": (
        of(A, B, node("c"), node("d"), edges="b-c c-b c-d"),
        [("b", "CYCLE"), ("c", "CYCLE"), ("d", "UNREACHABLE")],
    ),
    "missing branch": (
        of(node("a", "condition", {"true": "b"}, field="plan", operator="exists"), B),
        [("a", "BRANCH_MISSING")],
    ),
    "edge from a condition": (
        of(node("a", "condition", field="plan", operator="exists"), B, edges="a-b"),
        [("a", "EDGE_NOT_ALLOWED"), ("a", "BRANCH_MISSING"), ("a", "BRANCH_MISSING")],
    ),
    "variant without branch": (of(node("a", "random_split", {"x": None}, **SPLIT)), [("a", "BRANCH_MISSING")]),
    "edge from an exit": (of(node("a", "exit", reason="done"), B, edges="a-b"), [("a", "EDGE_NOT_ALLOWED")]),
    "nothing set": (of(node("a", "send_message")), [("a", "CONFIG_MISSING")]),
    "e-mail without subject": (of(node("a", "send_message", body="Hi", channel="email")), [("a", "CONFIG_INVALID")]),
    "mistyped": (of(node("a", "wait", duration="1m", durration="2m")), [("a", "CONFIG_UNKNOWN")]),
    "too long a wait": (of(node("a", "wait", duration="366d")), [("a", "CONFIG_INVALID")]),
    "no field of a contact": (
        of(node("a", "condition", field="shoe", operator="eq", value=1)),
        [("a", "CONFIG_INVALID")],
    ),
    "no operator": (of(node("a", "condition", field="plan", value=1)), [("a", "CONFIG_INVALID")]),
    "one variant": (of(node("a", "random_split", variants=SPLIT["variants"][:1])), [("a", "CONFIG_INVALID")]),
    "nothing changed": (of(node("a", "update_contact")), [("a", "CONFIG_INVALID")]),
    "no weekday": (of(node("a", "wait_until", time="09:00", weekdays=["NODAY"])), [("a", "CONFIG_INVALID")]),
    "unknown variable": (of(node("a", "send_message", body="{{ contact.nmae }}")), [("a", "VARIABLE_UNKNOWN")]),
    "malformed variable": (of(node("a", "send_message", body="{{ contact")), [("a", "CONFIG_INVALID")]),
    "of a later step": (
        of(
            node("a", "send_message", body="{{ steps.b.output.status }}"),
            node("b", "webhook", url="https://a.example/"),
            edges="a-b",
        ),
        [("a", "VARIABLE_UNKNOWN")],
    ),
    "not of an event": (
        of(node("a", "send_message", body="{{ event.properties.plan }}"), trigger={"type": "tag_added"}),
        [("a", "VARIABLE_UNKNOWN")],
    ),
    "compares what is not there": (
        of(node("a", "condition", field="steps.z.output.status", operator="eq", value=200)),
        [("a", "VARIABLE_UNKNOWN")],
    ),
    "own headers": (
        of(node("a", "webhook", url="https://a.example/", headers={"Host": "b.example"})),
        [("a", "CONFIG_INVALID")],
    ),
    "goal": (of(A, goal={"within": "3d"}), [(None, "CONFIG_MISSING")]),
    "exit": (of(A, exit={"field": "shoe"}), [(None, "CONFIG_INVALID")]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_at_its_node(name: str) -> None:
    json, expected = WRONG[name]
    assert told(json) == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data",
        "http://169.254.169.254/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://localhost/",
        "https://2130706433/",
        "http://example.com/",
        "https://user:secret@example.com/",
        "ftp://example.com/",
    ],
)
def test_a_webhook_to_an_address_that_is_not_public_is_refused_at_its_node(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("REPLYHQ_OUTBOUND_ALLOW_LOOPBACK", "false")
    config.cache_clear()
    found = told(of(node("a", "webhook", url=url)))
    monkeypatch.undo()
    config.cache_clear()
    assert found == [("a", "ADDRESS_BLOCKED")]


def test_variables_may_not_choose_the_host_of_a_webhook() -> None:
    for url in (
        "https://{{ contact.attributes.host }}/x",
        "{{ contact.plan }}",
        "https://a.{{ contact.plan }}.example/",
    ):
        assert told(of(node("a", "webhook", url=url))) == [("a", "CONFIG_INVALID")]
    assert told(of(node("a", "webhook", url="https://a.example/{{ user_id }}?plan={{ contact.plan }}"))) == []


def test_what_has_come_up_before_may_be_said_and_compared() -> None:
    hook = node("a", "webhook", url="https://a.example/")
    said = node(
        "b", "send_message", body="{{ steps.a.output.status }} {{ steps.a.output.body.x.y }} {{ event.properties.p }}"
    )
    compared = node("c", "condition", field="steps.a.output.status", operator="eq", value=200)
    assert told(of(hook, said, compared, edges="a-b b-c")) == []


def test_every_kind_has_a_description_and_is_called_as_it_is_registered() -> None:
    assert [name for name, kind in KINDS.items() if not kind.description or kind.name != name] == []


@pytest.mark.parametrize(
    ("json", "field"),
    [
        ([], "definition"),
        ({"nodes": {}}, "definition.nodes"),
        ({"nodes": [], "stuff": 1}, "definition.stuff"),
        ({"nodes": [{"id": "a"}]}, "definition.nodes.0.type"),
        ({"nodes": [{"id": "a", "type": "wait", "position": {"x": float("inf"), "y": 0}}]}, "definition"),
        ({"edges": [{"from": "a"}]}, "definition.edges.0.to"),
        ({"reentry": "SOMETIMES"}, "definition.reentry"),
        ({"trigger": {}}, "definition.trigger.type"),
        ({"nodes": [node("a", "exit", reason="x" * 110_000)]}, "definition"),
    ],
)
def test_what_has_not_the_shape_of_a_definition_is_no_draft(json: object, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        definition.parse(json)
    assert refused.value.field == field


async def test_what_is_named_must_be_of_the_app(team: Team) -> None:
    label, segment = (await inbox.label(team)).id, (await factories.segment(team)).id
    assert await missing(team, label, team.user_id, segment) == []
    other = await factories.team()
    foreign = (await inbox.label(other)).id, other.user_id, (await factories.segment(other)).id
    expected = [(None, "trigger.segment_id"), ("a", "config.label_id"), ("b", "config.user_id")]
    assert await missing(team, *foreign) == expected
    assert await missing(team, new_id(), new_id(), new_id()) == expected


async def missing(team: Team, label: UUID, user: UUID, segment: UUID) -> list[tuple[str | None, str | None]]:
    entered = {"type": "segment_entered", "segment_id": str(segment)}
    labelled, assigned = node("a", "add_label", label_id=str(label)), node("b", "assign", user_id=str(user))
    drawn = definition.parse(of(labelled, assigned, edges="a-b", trigger=entered))
    async with transaction() as session:
        found = await checking.check(session, team.app_id, drawn)
    assert {one.code.value for one in found} <= {"REFERENCE_MISSING"}
    return [(one.node_id, one.field) for one in found]


def test_a_difference_names_nodes_and_fields_and_not_places() -> None:
    before = definition.parse(of(node("a"), node("b", "exit"), edges="a-b"))
    moved = {**node("a", duration="2m"), "position": {"x": 1, "y": 2}}
    after = definition.parse(of(moved, node("c"), edges="a-c", reentry="ONCE"))
    found = diffing.diff(before, after)
    assert [one.id for one in found.added] == ["c"]
    assert [one.id for one in found.removed] == ["b"]
    assert [(one.node_id, one.changed) for one in found.changed] == [("a", ["config.duration"])]
    assert [(one.source, one.target) for one in (*found.added_edges, *found.removed_edges)] == [("a", "c"), ("a", "b")]
    assert found.settings == ["reentry"]
    only_moved = definition.parse(of({**node("a"), "position": {"x": 1, "y": 2}}, node("b", "exit"), edges="a-b"))
    assert diffing.diff(before, only_moved).changed == []


@pytest.mark.parametrize(
    ("after", "zone", "due"),
    [
        # A Saturday; the next day that is allowed is Monday, and Berlin is two hours ahead then.
        (datetime(2026, 6, 6, 12, tzinfo=UTC), "Europe/Berlin", datetime(2026, 6, 8, 7, tzinfo=UTC)),
        (datetime(2026, 6, 8, 7, tzinfo=UTC), "Europe/Berlin", datetime(2026, 6, 8, 7, tzinfo=UTC)),
        (datetime(2026, 6, 8, 7, 1, tzinfo=UTC), None, datetime(2026, 6, 8, 9, tzinfo=UTC)),
        # It is Monday there while it is still Sunday in UTC.
        (datetime(2026, 6, 7, 18, tzinfo=UTC), "Pacific/Auckland", datetime(2026, 6, 7, 21, tzinfo=UTC)),
        (datetime(2026, 6, 8, 23, tzinfo=UTC), "Nowhere/Land", datetime(2026, 6, 15, 9, tzinfo=UTC)),
    ],
)
def test_a_time_of_the_week_is_waited_for_where_the_contact_lives(
    after: datetime, zone: str | None, due: datetime
) -> None:
    assert WaitUntil(time="09:00", weekdays=(Weekday.MONDAY,)).due(after, zone) == due


def test_chance_follows_the_weights_and_never_changes_its_mind() -> None:
    split = RandomSplit(variants=(Variant(name="x", weight=1), Variant(name="y", weight=3)))
    people = [UUID(int=no) for no in range(2_000)]
    drawn = [split.chosen(one, "node") for one in people]
    assert drawn == [split.chosen(one, "node") for one in people]
    assert 400 < drawn.count("x") < 600
    assert drawn != [split.chosen(one, "other") for one in people]
