"""Bad input to broadcasts and contacts: a coded error that names the field, and nothing half-written."""

import json
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from core.database import transaction
from domain.pages import encode_cursor
from models.broadcasts import Broadcast, BroadcastStatus
from models.contacts import Contact
from models.facts import Fact
from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.test_broadcasts import ALL, CREATE, SEND

CREATE_CONTACT = """mutation($input: CreateContactInput!) { createContact(input: $input) {
  contact { id name emails phones country timeZone attributes tags } userErrors { code message field } } }"""
UPDATE_CONTACT = """mutation($input: UpdateContactInput!) { updateContact(input: $input) {
  contact { id name emails } userErrors { code message field } } }"""
REGISTER = """mutation($input: RegisterDeviceInput!) { registerDevice(input: $input) {
  device { id } token userErrors { code message field } } }"""
SCHEDULE = """mutation($input: ScheduleBroadcastInput!) { scheduleBroadcast(input: $input) {
  broadcast { id status scheduledAt } userErrors { code message field } } }"""


def on_broadcast(verb: str) -> str:
    return f"""mutation($input: BroadcastInput!) {{ {verb}Broadcast(input: $input) {{
      userErrors {{ code message field }} }} }}"""


async def rows(team: Team) -> tuple[int, ...]:
    """How much the app has of each."""
    async with transaction() as session:
        return tuple(
            [
                await session.scalar(sa.select(sa.func.count()).where(kind.app_id == team.app_id)) or 0
                for kind in (Broadcast, Contact, Fact)
            ]
        )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": ""}, ["title"]),
        ({"title": "x" * 201}, ["title"]),
        ({"title": "a\x00b"}, ["title"]),
        ({"body": "   "}, ["body"]),
        ({"body": "x" * 10_001}, ["body"]),
        ({"data": [1]}, ["data"]),
        ({"data": {"a": "x" * 5_000}}, ["data"]),
        ({"data": {"a": "\x00"}}, ["data"]),
        ({"data": {"a": json.loads("[" * 300 + "]" * 300)}}, ["data"]),
        ({"target": {"targetType": "SPECIFIC_USERS"}}, ["target", "contactIds"]),
        ({"target": {"targetType": "SPECIFIC_USERS", "userIds": ["nobody"]}}, ["target", "userIds"]),
        ({"target": {"targetType": "SPECIFIC_USERS", "userIds": ["a\x00"]}}, ["target", "userIds", "0"]),
        ({"target": {"targetType": "SPECIFIC_USERS", "contactIds": ["no-id"]}}, ["target", "contactIds", "0"]),
        ({"target": {"targetType": "SPECIFIC_USERS", "contactIds": [str(uuid4())]}}, ["target", "contactIds"]),
        ({"target": {"targetType": "ALL_USERS", "userIds": ["user-1"]}}, ["target", "targetType"]),
        ({"idempotencyKey": "x" * 201}, ["idempotencyKey"]),
    ],
)
async def test_a_draft_that_breaks_a_rule(graph: Graph, team: Team, change: dict[str, Any], field: list[str]) -> None:
    before = await rows(team)
    (error,) = await graph.refused(CREATE, **({"title": "Hello", "body": "World", "target": ALL} | change))
    assert (error["code"], error["field"]) == ("BAD_USER_INPUT", field)
    assert await rows(team) == before


async def test_a_title_of_ten_megabytes_is_refused_unread(graph: Graph, team: Team) -> None:
    before = await rows(team)
    answer = await graph.ask(CREATE, input={"title": "x" * 10_000_000, "body": "World", "target": ALL})
    assert (answer.status, len(answer.codes)) == (413, 1)
    assert await rows(team) == before


async def test_an_empty_audience_is_refused(graph: Graph, team: Team) -> None:
    broadcast = await factories.broadcast(team)
    (error,) = await graph.refused(SEND, id=str(broadcast.id))
    assert (error["code"], error["field"]) == ("EMPTY_AUDIENCE", ["id"])


@pytest.mark.parametrize(
    ("verb", "status"),
    [
        ("delete", BroadcastStatus.SCHEDULED),
        ("delete", BroadcastStatus.SENT),
        ("pause", BroadcastStatus.DRAFT),
        ("pause", BroadcastStatus.PAUSED),
        ("resume", BroadcastStatus.SENDING),
        ("cancel", BroadcastStatus.DRAFT),
        ("cancel", BroadcastStatus.SENT),
        ("cancel", BroadcastStatus.CANCELLED),
    ],
)
async def test_a_wrong_status_is_a_conflict_that_names_it(
    graph: Graph, team: Team, verb: str, status: BroadcastStatus
) -> None:
    broadcast = await factories.broadcast(team, status=status)
    (error,) = await graph.refused(on_broadcast(verb), id=str(broadcast.id))
    assert error["code"] == "CONFLICT"
    assert error["message"].endswith(f"this one is {status.value}.")


@pytest.mark.parametrize("status", ["SENDING", "PAUSED", "SENT", "FAILED", "CANCELLED"])
async def test_what_has_started_cannot_be_sent_again(graph: Graph, team: Team, status: str) -> None:
    await factories.contacts(team.app_id, 1)
    broadcast = await factories.broadcast(team, status=BroadcastStatus(status))
    (error,) = await graph.refused(SEND, id=str(broadcast.id))
    assert error["code"] == "CONFLICT"


@pytest.mark.parametrize("number", ["1000000000000000000000000", "1e999", "9" * 5_000])
async def test_a_number_that_could_not_be_given_back_is_refused(graph: Graph, team: Team, number: str) -> None:
    before = await rows(team)
    answer = await graph.ask(
        f"""mutation {{ createBroadcast(input: {{ title: "Hello", body: "World", data: {{n: {number}}},
        target: {{targetType: ALL_USERS}} }}) {{ userErrors {{ code field }} }} }}"""
    )
    assert answer.field("createBroadcast") == {"userErrors": [{"code": "BAD_USER_INPUT", "field": ["data"]}]}
    assert await rows(team) == before


@pytest.mark.parametrize("key", ["99999999999", "-99999999999", "9" * 5_000, "x"])
async def test_a_cursor_beyond_the_column_is_none_of_the_list(graph: Graph, team: Team, key: str) -> None:
    broadcast = await factories.broadcast(team)
    answer = await graph.ask(
        "query($id: ID!, $after: String) { broadcastRecipients(broadcastId: $id, after: $after) { nodes { seq } } }",
        id=str(broadcast.id),
        after=encode_cursor(key),
    )
    assert answer.codes == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
async def test_an_instant_that_has_no_utc_is_refused(graph: Graph, team: Team, at: str) -> None:
    broadcast = await factories.broadcast(team)
    answer = await graph.ask(SCHEDULE, input={"id": str(broadcast.id), "scheduledAt": at})
    assert answer.codes == ["BAD_USER_INPUT"]


async def test_a_past_instant_cannot_be_scheduled(graph: Graph, team: Team) -> None:
    broadcast = await factories.broadcast(team)
    (error,) = await graph.refused(SCHEDULE, id=str(broadcast.id), scheduledAt="2020-01-01T00:00:00Z")
    assert (error["code"], error["field"]) == ("BAD_USER_INPUT", ["scheduledAt"])


async def test_an_instant_needs_its_offset(graph: Graph, team: Team) -> None:
    broadcast = await factories.broadcast(team)
    answer = await graph.ask(SCHEDULE, input={"id": str(broadcast.id), "scheduledAt": "2099-01-01T00:00:00"})
    assert answer.codes == ["BAD_USER_INPUT"]


async def test_the_same_key_creates_once_and_another_request_with_it_is_refused(graph: Graph, team: Team) -> None:
    asked = {"title": "Hello", "body": "World", "target": ALL, "idempotencyKey": "k1"}
    first, second = (await graph.change(CREATE, **asked), await graph.change(CREATE, **asked))
    assert first["broadcast"]["id"] == second["broadcast"]["id"]
    (error,) = await graph.refused(CREATE, **(asked | {"title": "Other"}))
    assert (error["code"], error["field"]) == ("IDEMPOTENCY_KEY_REUSED", ["idempotencyKey"])
    assert (await rows(team))[0] == 1


async def test_a_contact_is_cleaned(graph: Graph) -> None:
    payload = await graph.change(
        CREATE_CONTACT,
        name=" Ada ",
        emails=["ADA@Example.com", "ada@example.com"],
        phones=["0170 1234567"],
        country="de",
        timeZone="Europe/Berlin",
        attributes={"visits": 3},
        tags=["vip", "vip"],
    )
    assert payload["contact"] | {"id": None} == {
        "id": None,
        "name": "Ada",
        "emails": ["ada@example.com"],
        "phones": ["+491701234567"],
        "country": "DE",
        "timeZone": "Europe/Berlin",
        "attributes": {"visits": 3},
        "tags": ["vip"],
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"emails": ["no-address"]}, ["emails", "0"]),
        ({"emails": [f"u{n}@example.com" for n in range(21)]}, ["emails"]),
        ({"phones": ["+4917012345671", "12"]}, ["phones", "1"]),
        ({"phones": ["12"], "country": "DE"}, ["phones", "0"]),
        ({"country": "ZZ"}, ["country"]),
        ({"locale": "!!"}, ["locale"]),
        ({"timeZone": "Mars/Olympus"}, ["timeZone"]),
        ({"timeZone": "../../etc/passwd"}, ["timeZone"]),
        ({"attributes": "text"}, ["attributes"]),
        ({"attributes": {"a": "x" * 20_000}}, ["attributes"]),
        ({"tags": ["x" * 51]}, ["tags", "0"]),
        ({"name": "x" * 201}, ["name"]),
    ],
)
async def test_a_contact_that_breaks_a_rule(graph: Graph, team: Team, change: dict[str, Any], field: list[str]) -> None:
    before = await rows(team)
    (error,) = await graph.refused(CREATE_CONTACT, **change)
    assert (error["code"], error["field"]) == ("BAD_USER_INPUT", field)
    assert await rows(team) == before


async def test_a_backslash_is_no_control_character(graph: Graph) -> None:
    payload = await graph.change(CREATE_CONTACT, attributes={"path": r"C:\u0000 \\u0000"})
    assert payload["contact"]["attributes"] == {"path": r"C:\u0000 \\u0000"}


async def test_a_contact_has_fifty_devices_at_most(graph: Graph, team: Team) -> None:
    made = await graph.change(CREATE_CONTACT, name="Ada")
    await factories.devices_of(team.app_id, made["contact"]["id"], 50)
    (error,) = await graph.refused(REGISTER, contactId=made["contact"]["id"], platform="IOS")
    assert (error["code"], error["field"]) == ("CONFLICT", ["contactId"])


async def test_a_device_of_nobody_names_the_field(graph: Graph) -> None:
    (error,) = await graph.refused(REGISTER, contactId=str(uuid4()), platform="IOS")
    assert (error["code"], error["field"]) == ("NOT_FOUND", ["contactId"])


async def test_contacts_are_found_by_part_of_what_they_are_called(graph: Graph) -> None:
    await graph.change(CREATE_CONTACT, name="Grace Hopper", emails=["grace@navy.example"], tags=["vip"])
    await graph.change(CREATE_CONTACT, name="100% Ada", phones=["+491701234567"])
    for search, names in {
        "HOPPER": ["Grace Hopper"],
        "navy": ["Grace Hopper"],
        "0% a": ["100% Ada"],
        "%": ["100% Ada"],
    }.items():
        found = await graph.data(
            "query($search: String) { contacts(search: $search) { nodes { name } } }", search=search
        )
        assert [one["name"] for one in found["contacts"]["nodes"]] == names
    found = await graph.data('{ contacts(tag: "vip") { nodes { name } totalCount } }')
    assert found["contacts"] == {"nodes": [{"name": "Grace Hopper"}], "totalCount": 1}


async def test_an_update_changes_what_is_given_and_null_clears(graph: Graph) -> None:
    made = await graph.change(CREATE_CONTACT, name="Ada", emails=["ada@example.com"])
    changed = await graph.change(UPDATE_CONTACT, id=made["contact"]["id"], emails=None)
    assert changed["contact"] == {"id": made["contact"]["id"], "name": "Ada", "emails": []}


async def test_an_external_id_is_unique_within_an_app_only(graph: Graph) -> None:
    await graph.change(CREATE_CONTACT, externalId="u1")
    (error,) = await graph.refused(CREATE_CONTACT, externalId="u1")
    assert (error["code"], error["field"]) == ("CONFLICT", ["externalId"])
    other = graph.as_((await factories.team()).token)
    await other.change(CREATE_CONTACT, externalId="u1")
