"""What a broadcast is refused for, over GraphQL: the code, and the path of the field as the client wrote it."""

from datetime import timedelta
from typing import Any

import pytest

from core.clock import now
from core.ids import new_id
from tests.support.graph import Graph
from tests.test_broadcast_channels import SCHEDULE
from tests.test_broadcasts import ALL, CREATE, create

BAD, MISSING = "BAD_USER_INPUT", "NOT_FOUND"
VARIANT = {"name": "A", "title": "Hello", "body": "World"}


def variants(count: int, **last: Any) -> list[dict[str, Any]]:
    made = [VARIANT | {"name": f"no. {no}"} for no in range(count)]
    return [*made[:-1], made[-1] | last]


def segment(query: Any) -> dict[str, Any]:
    return {"target": {"targetType": "SEGMENT", "segmentQuery": query}}


def comparison(field: str, operator: str, value: Any = "x") -> dict[str, Any]:
    return {"all": [{"field": field, "operator": operator, "value": value}]}


CREATED = {
    "unknown field of a segment": (segment(comparison("planet", "eq")), BAD, "target.segmentQuery.all.0.field"),
    "unknown operator": (segment(comparison("plan", "like")), BAD, "target.segmentQuery.all.0.operator"),
    "operator of another kind": (segment(comparison("plan", "gt")), BAD, "target.segmentQuery.all.0.operator"),
    "no condition": (segment({"all": []}), BAD, "target.segmentQuery.all"),
    "unknown field of an exclusion": (
        {"target": ALL | {"excludeQuery": comparison("planet", "eq")}},
        BAD,
        "target.excludeQuery.all.0.field",
    ),
    "a segment without one": ({"target": {"targetType": "SEGMENT"}}, BAD, "target.segmentId"),
    "a segment that is not there": (
        {"target": {"targetType": "SEGMENT", "segmentId": str(new_id())}},
        MISSING,
        "target.segmentId",
    ),
    "some without any": ({"target": {"targetType": "SPECIFIC_USERS"}}, BAD, "target.contactIds"),
    "one variant": ({"options": {"variants": variants(1)}}, BAD, "options.variants"),
    "nine variants": ({"options": {"variants": variants(9)}}, BAD, "options.variants"),
    "two variants of one name": ({"options": {"variants": [VARIANT, VARIANT]}}, BAD, "options.variants"),
    "a variant with an unknown variable": (
        {"options": {"variants": variants(2, body="{{ contact.shoe }}")}},
        BAD,
        "options.variants.1.body",
    ),
    "a variant without weight": ({"options": {"variants": variants(2, weight=0)}}, BAD, "options.variants.1.weight"),
    "no channel": ({"options": {"channels": []}}, BAD, "options.channels"),
    "a channel broadcasts do not have": ({"options": {"channels": ["WHATSAPP"]}}, BAD, "options.channels"),
    "no speed": ({"options": {"speed": 0}}, BAD, "options.speed"),
    "unknown variable in the title": ({"title": "{{ contact.nam }}"}, BAD, "title"),
    "unknown variable in the body": ({"body": "{{ contact.nam }}"}, BAD, "body"),
    "malformed placeholder": ({"body": "{{ contact.name"}, BAD, "body"),
    "ten thousand placeholders": ({"body": "{{a}}" * 10_000}, BAD, "body"),
    "more placeholders than there may be": ({"body": "{{app.name}}" * 101}, BAD, "body"),
    "an empty title": ({"title": " "}, BAD, "title"),
    "a link that runs code": ({"data": {"url": "javascript:alert(1)"}}, BAD, "data.url"),
    "the same in other letters": ({"data": {"url": "JaVaScRiPt:alert(1)"}}, BAD, "data.url"),
    "data that is a list": ({"data": ["x"]}, BAD, "data"),
}
SCHEDULED = {
    "a zone that there is not": ({"localAt": "2090-01-24T09:00:00", "timeZone": "Europe/Atlantis"}, "timeZone"),
    "the past": ({"scheduledAt": (now() - timedelta(minutes=1)).isoformat()}, "scheduledAt"),
    "a local time that has passed": ({"localAt": "2020-01-24T09:00:00", "timeZone": "Europe/Berlin"}, "localAt"),
    "no time": ({}, "scheduledAt"),
    "two times": ({"cron": "0 9 * * 1", "localAt": "2090-01-24T09:00:00"}, "scheduledAt"),
    "no cron expression": ({"cron": "every monday"}, "cron"),
    "every minute": ({"cron": "* * * * *"}, "cron"),
    "a day that never comes": ({"cron": "0 9 31 2 *"}, "cron"),
}


def seen(errors: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(error["code"], ".".join(error["field"])) for error in errors]


@pytest.mark.parametrize("name", CREATED)
async def test_a_draft_is_refused(graph: Graph, name: str) -> None:
    given, code, field = CREATED[name]
    errors = await graph.refused(CREATE, **({"title": "Hello", "body": "World", "target": ALL} | given))
    assert seen(errors) == [(code, field)]


@pytest.mark.parametrize("name", SCHEDULED)
async def test_a_time_is_refused(graph: Graph, name: str) -> None:
    given, field = SCHEDULED[name]
    errors = await graph.refused(SCHEDULE, id=await create(graph), **given)
    assert seen(errors) == [(BAD, field)]
