"""Opt-outs, suppressed addresses and sending limits over GraphQL."""

from typing import Any

import pytest

from tests.support import audited, factories
from tests.support.factories import Team
from tests.support.graph import Graph

OUT = """mutation($input: OptOutContactInput!) { optOutContact(input: $input) {
  contact { optOuts { channel reason note } } userErrors { code field } } }"""
IN = """mutation($input: OptInContactInput!) { optInContact(input: $input) {
  contact { optOuts { channel } } userErrors { code field } } }"""
SUPPRESS = """mutation($input: SuppressAddressInput!) { suppressAddress(input: $input) {
  suppression { id channel address reason } userErrors { code field } } }"""
UNSUPPRESS = """mutation($input: UnsuppressAddressInput!) { unsuppressAddress(input: $input) {
  deletedSuppressionId userErrors { code field } } }"""
LIST = """query($channel: ChannelKind, $address: String) { suppressions(channel: $channel, address: $address) {
  totalCount nodes { channel address reason } } }"""
LIMIT = """mutation($input: UpdateSendingLimitsInput!) { updateSendingLimits(input: $input) {
  app { sendingLimits { timeZone quietStart quietEnd frequencyCapCount frequencyCapHours } }
  userErrors { code field } } }"""
NIGHT = {"quietStart": "22:00", "quietEnd": "07:30"}
CAP = {"frequencyCapCount": 3, "frequencyCapHours": 24}
UNLIMITED = {"timeZone": "UTC"} | dict.fromkeys([*NIGHT, *CAP])


async def test_a_contact_opts_out_and_in(graph: Graph, team: Team) -> None:
    ada = str((await factories.person(team.app_id)).id)
    await graph.change(OUT, contactId=ada, channel="EMAIL", reason="COMPLAINED", note=" called us ")
    payload = await graph.change(OUT, contactId=ada)
    assert payload["contact"]["optOuts"] == [
        {"channel": "EMAIL", "reason": "COMPLAINED", "note": "called us"},
        {"channel": None, "reason": "MANUAL", "note": None},
    ]
    assert await graph.refused(IN, contactId=ada, channel="EMAIL") == [{"code": "CONFLICT", "field": ["channel"]}]
    payload = await graph.change(IN, contactId=ada)
    assert payload["contact"]["optOuts"] == []
    assert await graph.refused(OUT, contactId=ada, note="x" * 501) == [{"code": "BAD_USER_INPUT", "field": ["note"]}]
    assert await graph.refused(OUT, contactId=team.app_id.hex) == [{"code": "NOT_FOUND", "field": ["contactId"]}]


async def test_addresses_are_suppressed_found_and_let_go(graph: Graph) -> None:
    first = await graph.change(SUPPRESS, channel="EMAIL", address=" Ada@Example.COM ", reason="HARD_BOUNCE")
    await graph.change(SUPPRESS, channel="WHATSAPP", address="+49 170 1234567")
    ada = {"channel": "EMAIL", "address": "ada@example.com", "reason": "HARD_BOUNCE"}
    phone = {"channel": "WHATSAPP", "address": "+491701234567", "reason": "MANUAL"}
    asked = [
        ({}, [phone, ada]),
        ({"channel": "EMAIL"}, [ada]),
        ({"address": "ADA@example.com"}, [ada]),
        ({"address": "+491701234567"}, [phone]),
        ({"channel": "EMAIL", "address": "eve@example.com"}, []),
        ({"channel": "PUSH"}, []),
    ]
    for wanted, found in asked:
        assert await graph.data(LIST, **wanted) == {"suppressions": {"totalCount": len(found), "nodes": found}}, wanted
    gone = await graph.change(UNSUPPRESS, channel="EMAIL", address="ada@example.com")
    assert gone["deletedSuppressionId"] == first["suppression"]["id"]
    again = {"channel": "EMAIL", "address": "ada@example.com"}
    assert await graph.refused(UNSUPPRESS, **again) == [{"code": "NOT_FOUND", "field": ["address"]}]


@pytest.mark.parametrize(
    ("channel", "address", "field"),
    [("PUSH", "a@example.com", "channel"), ("EMAIL", "nobody", "address"), ("WHATSAPP", "0170 1234567", "address")],
)
async def test_an_address_that_is_none_is_refused(graph: Graph, channel: str, address: str, field: str) -> None:
    error = {"code": "BAD_USER_INPUT", "field": [field]}
    assert await graph.refused(SUPPRESS, channel=channel, address=address) == [error]
    assert (await graph.ask(LIST, channel=channel, address=address)).codes == ["BAD_USER_INPUT"]


async def test_an_app_sets_its_limits_and_clears_them(graph: Graph, team: Team) -> None:
    async def change(**limits: Any) -> dict[str, Any]:
        return (await graph.change(LIMIT, **limits))["app"]["sendingLimits"]

    assert await change() == UNLIMITED
    assert await change(timeZone="Europe/Berlin", **NIGHT) == UNLIMITED | {"timeZone": "Europe/Berlin"} | NIGHT
    assert await change(**CAP) == {"timeZone": "Europe/Berlin"} | NIGHT | CAP
    assert await change(quietEnd="06:00") == {"timeZone": "Europe/Berlin"} | NIGHT | CAP | {"quietEnd": "06:00"}
    assert await change(**UNLIMITED | {"timeZone": None}) == UNLIMITED
    entry = (await audited.entries(team.app_id))[-1]
    assert (entry.action, entry.before["quiet_end"], entry.after["quiet_end"]) == ("app.updated", "06:00:00", None)


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ({"timeZone": "Mars/Olympus"}, "timeZone"),
        ({"quietStart": "22:00"}, "quietEnd"),
        ({"quietEnd": "22:00"}, "quietStart"),
        ({"frequencyCapCount": 3}, "frequencyCapHours"),
        ({"frequencyCapHours": 3}, "frequencyCapCount"),
        ({"frequencyCapCount": 0, "frequencyCapHours": 1}, "frequencyCapCount"),
        ({"frequencyCapCount": 101, "frequencyCapHours": 1}, "frequencyCapCount"),
        ({"frequencyCapCount": 1, "frequencyCapHours": 721}, "frequencyCapHours"),
    ],
)
async def test_limits_that_are_none_are_refused(graph: Graph, limits: dict[str, Any], field: str) -> None:
    assert await graph.refused(LIMIT, **limits) == [{"code": "BAD_USER_INPUT", "field": [field]}]


@pytest.mark.parametrize("written", ["24:00", "7:30", "07:30:00", "22", "", "\u0662\u0662:\u0660\u0660", 7])
async def test_a_local_time_is_hours_and_minutes(graph: Graph, written: Any) -> None:
    assert (await graph.ask(LIMIT, input={"quietStart": written, "quietEnd": "07:00"})).codes == ["BAD_USER_INPUT"]
