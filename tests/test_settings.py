"""The settings of an app as its team meets them: read, changed in part, refused, told live."""

import asyncio
from typing import Any

import pytest

from domain.permissions import Permission
from domain.settings import changing
from models.team import Role
from tests.support import audited, factories, second_factors
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.test_live_conversations import watching

FIELDS = """id version name timeZone branding { logoUrl primaryColour }
  notifications { emailOnNewMessage emailOnNewConversation }
  businessHours { timeZone weekly { weekday intervals { opens closes } }
    holidays { day name intervals { opens closes } } }
  features { feature isEnabled isDefault isEnforced }"""
READ = f"{{ appSettings {{ {FIELDS} }} }}"
UPDATE = f"""mutation($input: UpdateAppSettingsInput!) {{ updateAppSettings(input: $input) {{
  settings {{ {FIELDS} }} userErrors {{ code message field }} }} }}"""
WATCH = """subscription($after: String) { settingsChanged(after: $after) { __typename
  ... on StreamEvent { cursor sequence }
  ... on SettingsSnapshot { settings { version name } }
  ... on SettingsChange { action entityId actor settings { version name timeZone } } } }"""
OPEN = "query($at: DateTime) { appSettings { businessHours { isOpen(at: $at) nextOpening(at: $at) } } }"
SECURITY = """mutation($input: UpdateAppSecurityInput!) { updateAppSecurity(input: $input) {
  app { requiresTwoFactor } userErrors { code message field } } }"""
LIMITS = """mutation($input: UpdateSendingLimitsInput!) { updateSendingLimits(input: $input) {
  app { sendingLimits { timeZone } } userErrors { code } } }"""
SERVER = ("WORKFLOW_BUILDER", "BULK_IMPORT", "TWO_FACTOR_AUTH", "ZAPIER_WEBHOOKS")
DEFAULTS = {
    "version": 1,
    "name": "Acme",
    "timeZone": "UTC",
    "branding": {"logoUrl": None, "primaryColour": "#DC2626"},
    "notifications": {"emailOnNewMessage": False, "emailOnNewConversation": False},
    "businessHours": {"timeZone": "UTC", "weekly": None, "holidays": []},
    "features": [
        {"feature": name, "isEnabled": name != "AI_SUGGESTIONS", "isDefault": True, "isEnforced": name in SERVER}
        for name in (*SERVER, "AGENT_METRICS", "AI_SUGGESTIONS", "DARK_MODE")
    ],
}
NINE_TO_FIVE = [{"opens": "09:00", "closes": "17:00"}]


async def change(graph: Graph, **input: Any) -> dict[str, Any]:
    return (await graph.change(UPDATE, **input))["settings"]


async def read(graph: Graph) -> dict[str, Any]:
    return (await graph.data(READ))["appSettings"]


async def test_a_new_app_has_defaults(graph: Graph, team: Team) -> None:
    assert await read(graph) == {"id": str(team.app_id), **DEFAULTS}


async def test_what_is_left_out_stays(graph: Graph, team: Team) -> None:
    expected = {"id": str(team.app_id), **DEFAULTS}
    steps: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"name": " Shop "}, {"name": "Shop"}),
        (
            {"branding": {"logoUrl": "https://example.com/logo.png"}},
            {"branding": {"logoUrl": "https://example.com/logo.png", "primaryColour": "#DC2626"}},
        ),
        (
            {"branding": {"primaryColour": "#0f766e"}},
            {"branding": {"logoUrl": "https://example.com/logo.png", "primaryColour": "#0F766E"}},
        ),
        (
            {"notifications": {"emailOnNewConversation": True}},
            {"notifications": {"emailOnNewMessage": False, "emailOnNewConversation": True}},
        ),
        ({"branding": {"logoUrl": None, "primaryColour": None}}, {"branding": DEFAULTS["branding"]}),
    ]
    for no, (said, changed) in enumerate(steps):
        expected |= changed | {"version": no + 2}
        assert await change(graph, expectedVersion=no + 1, **said) == expected
    assert await read(graph) == expected


async def test_hours_and_holidays_are_replaced_each_by_itself(graph: Graph) -> None:
    weekly = [
        {"weekday": "TUESDAY", "intervals": [{"opens": "13:00", "closes": "00:00"}]},
        {
            "weekday": "MONDAY",
            "intervals": [{"opens": "13:00", "closes": "17:30"}, {"opens": "09:00", "closes": "12:00"}],
        },
    ]
    eve = {"day": "2026-12-24", "name": "Eve", "intervals": NINE_TO_FIVE}
    holidays = [{"day": "2026-12-25", "name": "Christmas"}, eve]
    hours = (await change(graph, timeZone="Europe/Berlin", businessHours={"weekly": weekly}))["businessHours"]
    days = {one["weekday"]: one["intervals"] for one in hours["weekly"]}
    closed = ("WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
    assert days == {
        "MONDAY": [{"opens": "09:00", "closes": "12:00"}, {"opens": "13:00", "closes": "17:30"}],
        "TUESDAY": [{"opens": "13:00", "closes": "00:00"}],
        **{day: [] for day in closed},
    }
    assert (hours["timeZone"], hours["holidays"]) == ("Europe/Berlin", [])
    both = (await change(graph, businessHours={"holidays": holidays}))["businessHours"]
    told = [eve, {"day": "2026-12-25", "name": "Christmas", "intervals": []}]
    assert both == hours | {"holidays": told}
    assert (await change(graph, businessHours={"weekly": None}))["businessHours"] == both | {"weekly": None}
    assert (await change(graph, businessHours={"holidays": []}))["businessHours"]["holidays"] == []


async def test_it_says_whether_it_is_open_and_when_next(graph: Graph) -> None:
    weekly = [{"weekday": "MONDAY", "intervals": NINE_TO_FIVE}]
    await change(graph, timeZone="America/New_York", businessHours={"weekly": weekly})

    async def at(instant: str | None) -> tuple[bool, str | None]:
        hours = (await graph.data(OPEN, at=instant))["appSettings"]["businessHours"]
        return hours["isOpen"], hours["nextOpening"]

    assert await at("2026-03-02T13:59:59Z") == (False, "2026-03-02T14:00:00.000Z")
    assert await at("2026-03-02T14:00:00Z") == (True, "2026-03-02T14:00:00.000Z")
    # clocks were put forward in between
    assert await at("2026-03-02T22:00:00Z") == (False, "2026-03-09T13:00:00.000Z")
    assert (await graph.ask(OPEN, at="9999-12-31T23:59:59Z")).codes == ["BAD_USER_INPUT"]
    await change(graph, businessHours={"weekly": None})
    assert (await at(None))[0] is True


def day(*intervals: tuple[str, str], weekday: str = "MONDAY") -> dict[str, Any]:
    return {"weekday": weekday, "intervals": [{"opens": opens, "closes": closes} for opens, closes in intervals]}


BEFORE = "opens must be before closes. What goes over midnight is two intervals; 00:00 as closes is the end of the day."


@pytest.mark.parametrize(
    ("input", "field", "message"),
    [
        ({"name": " "}, "name", "name must have 1 to 100 characters; it has 0."),
        ({"name": "x" * 101}, "name", "name must have 1 to 100 characters; it has 101."),
        ({"timeZone": "Mars/Base"}, "timeZone", "timeZone is not a time zone, like Europe/Berlin."),
        ({"timeZone": ""}, "timeZone", "timeZone is not a time zone, like Europe/Berlin."),
        (
            {"branding": {"primaryColour": "red"}},
            "branding.primaryColour",
            "branding.primaryColour must be written as #RRGGBB, like #DC2626.",
        ),
        (
            {"branding": {"primaryColour": "#12345"}},
            "branding.primaryColour",
            "branding.primaryColour must be written as #RRGGBB, like #DC2626.",
        ),
        (
            {"branding": {"logoUrl": "http://example.com/a.png"}},
            "branding.logoUrl",
            "branding.logoUrl must begin with https://.",
        ),
        (
            {"branding": {"logoUrl": "javascript:alert(1)"}},
            "branding.logoUrl",
            "branding.logoUrl must begin with https://.",
        ),
        (
            {"branding": {"logoUrl": "https://localhost/a.png"}},
            "branding.logoUrl",
            "branding.logoUrl must lead to a public address.",
        ),
        (
            {"branding": {"logoUrl": "https://ada:x@example.com/a.png"}},
            "branding.logoUrl",
            "branding.logoUrl must hold no user name or password.",
        ),
        (
            {"branding": {"logoUrl": f"https://example.com/{'x' * 2000}"}},
            "branding.logoUrl",
            "branding.logoUrl must have 1 to 2000 characters; it has 2020.",
        ),
        ({"businessHours": {"weekly": [day(("12:00", "09:00"))]}}, "businessHours.weekly.0.intervals.0", BEFORE),
        ({"businessHours": {"weekly": [day(("12:00", "12:00"))]}}, "businessHours.weekly.0.intervals.0", BEFORE),
        (
            {"businessHours": {"weekly": [day(("11:59", "13:00"), ("09:00", "12:00"))]}},
            "businessHours.weekly.0.intervals",
            "09:00 to 12:00 and 11:59 to 13:00 overlap.",
        ),
        (
            {"businessHours": {"weekly": [day(("09:00", "00:00"), ("10:00", "11:00"))]}},
            "businessHours.weekly.0.intervals",
            "09:00 to 00:00 and 10:00 to 11:00 overlap.",
        ),
        (
            {"businessHours": {"weekly": [day(), day()]}},
            "businessHours.weekly.1.weekday",
            "MONDAY is there twice.",
        ),
        (
            {"businessHours": {"weekly": [day(*[("09:00", "10:00")] * 11)]}},
            "businessHours.weekly.0.intervals",
            "businessHours.weekly.0.intervals may hold at most 10 entries; it has 11.",
        ),
        (
            {"businessHours": {"weekly": [day()] * 8}},
            "businessHours.weekly",
            "businessHours.weekly may hold at most 7 entries; it has 8.",
        ),
        (
            {"businessHours": {"holidays": [{"day": "2026-12-25", "name": "x"}] * 2}},
            "businessHours.holidays.1.day",
            "2026-12-25 is there twice.",
        ),
        (
            {"businessHours": {"holidays": [{"day": "2026-12-25", "name": "x" * 61}]}},
            "businessHours.holidays.0.name",
            "businessHours.holidays.0.name must have 1 to 60 characters; it has 61.",
        ),
        (
            {"businessHours": {"holidays": [{"day": "2026-12-25", "name": "x"}] * 101}},
            "businessHours.holidays",
            "businessHours.holidays may hold at most 100 entries; it has 101.",
        ),
        (
            {"features": [{"feature": "DARK_MODE", "isEnabled": on} for on in (True, False)]},
            "features.1.feature",
            "DARK_MODE is there twice.",
        ),
    ],
)
async def test_what_breaks_a_rule_changes_nothing(
    graph: Graph, team: Team, input: dict[str, Any], field: str, message: str
) -> None:
    said = {"notifications": {"emailOnNewMessage": True}} | input
    error = {"code": "BAD_USER_INPUT", "message": message, "field": field.split(".")}
    assert await graph.refused(UPDATE, **said) == [error]
    assert await read(graph) == {"id": str(team.app_id), **DEFAULTS}


@pytest.mark.parametrize("value", ["2026-02-30", "20261225", "2026-W52-5", "25.12.2026", 20261225, None])
async def test_a_holiday_has_a_date(graph: Graph, value: object) -> None:
    answer = await graph.ask(UPDATE, input={"businessHours": {"holidays": [{"day": value, "name": "x"}]}})
    assert answer.codes == ["BAD_USER_INPUT"]


async def test_intervals_may_touch(graph: Graph) -> None:
    weekly = [day(("12:00", "17:00"), ("09:00", "12:00"))]
    hours = (await change(graph, businessHours={"weekly": weekly}))["businessHours"]["weekly"][0]
    assert hours == day(("09:00", "12:00"), ("12:00", "17:00"))


async def test_a_change_is_audited_and_what_changes_nothing_is_not(graph: Graph, team: Team) -> None:
    assert (await change(graph))["version"] == 1
    assert (await change(graph, name="Acme", branding={"primaryColour": "#DC2626"}))["version"] == 1
    await change(graph, name="Shop", features=[{"feature": "DARK_MODE", "isEnabled": False}])
    await change(graph, features=[{"feature": "DARK_MODE", "isEnabled": False}])
    made, changed = await audited.entries(team.app_id)
    assert (made.action, changed.action, changed.actor) == ("app.created", "app.updated", f"user:{team.user_id}")
    assert changed.before == {"name": "Acme", "features": {}}
    assert changed.after == {"name": "Shop", "features": {"DARK_MODE": False}}


async def test_who_has_an_old_version_is_told_and_shown_the_new_one(graph: Graph) -> None:
    await change(graph, name="Shop", expectedVersion=1)
    payload = (await graph.ask(UPDATE, input={"name": "Store", "expectedVersion": 1})).field("updateAppSettings")
    message = "Somebody else has changed the settings; read them again."
    assert payload["userErrors"] == [{"code": "CONFLICT", "message": message, "field": ["expectedVersion"]}]
    assert (payload["settings"]["name"], payload["settings"]["version"]) == ("Shop", 2)
    assert (await read(graph))["name"] == "Shop"


async def test_of_two_changes_at_once_both_stay_unless_they_expect_a_version(graph: Graph, team: Team) -> None:
    parts = [{"name": "Shop"}, {"timeZone": "Europe/Berlin"}, {"branding": {"primaryColour": "#000000"}}]
    parts += [{"features": [{"feature": name, "isEnabled": False}]} for name in ("DARK_MODE", "AGENT_METRICS")]
    await asyncio.gather(*(change(graph, **part) for part in parts))
    found = await read(graph)
    assert (found["name"], found["timeZone"], found["branding"]["primaryColour"]) == (
        "Shop",
        "Europe/Berlin",
        "#000000",
    )
    off = {one["feature"] for one in found["features"] if not one["isEnabled"]}
    assert (off, found["version"]) == ({"DARK_MODE", "AGENT_METRICS", "AI_SUGGESTIONS"}, 1 + len(parts))
    same = [graph.ask(UPDATE, input={"name": f"Shop {no}", "expectedVersion": found["version"]}) for no in range(5)]
    payloads = [answer.field("updateAppSettings") for answer in await asyncio.gather(*same)]
    refused = [error["code"] for payload in payloads for error in payload["userErrors"]]
    assert refused == ["CONFLICT"] * 4
    (won,) = (payload["settings"]["name"] for payload in payloads if not payload["userErrors"])
    assert (await read(graph))["name"] == won
    assert len(await audited.entries(team.app_id)) == 1 + len(parts) + 1


async def test_who_watches_is_told_each_change_wherever_it_is_made(graph: Graph, team: Team) -> None:
    agent = await factories.team(Role.AGENT, team.app_id)
    async with watching(graph.as_(agent.token), WATCH) as watch:
        state = await watch.next()
        assert (state["__typename"], state["settings"]) == ("SettingsSnapshot", {"version": 1, "name": "Acme"})
        await change(graph, name="Shop")
        await graph.change(LIMITS, timeZone="Europe/Berlin")
        first, second = await watch.next(), await watch.next()
    assert (first["action"], first["entityId"], first["actor"]) == (
        "app.updated",
        str(team.app_id),
        f"user:{team.user_id}",
    )
    assert first["settings"]["name"] == "Shop"
    assert second["settings"] == {"version": 3, "name": "Shop", "timeZone": "Europe/Berlin"}
    assert [first["sequence"], second["sequence"]] == [state["sequence"] + 1, state["sequence"] + 2]
    async with watching(graph.as_(agent.token), WATCH, after=first["cursor"]) as watch:
        assert await watch.next() == second


async def test_nobody_sees_or_changes_the_settings_of_another_app(graph: Graph, team: Team) -> None:
    other = await factories.team()
    async with watching(graph.as_(other.token), WATCH) as watch:
        assert (await watch.next())["settings"]["name"] == "Acme"
        await change(graph, name="Shop")
        assert await watch.silent()
    assert (await read(graph.as_(other.token)))["id"] == str(other.app_id)
    assert (await read(graph.as_(other.token)))["name"] == "Acme"


async def test_agents_read_and_owners_change_and_devices_do_neither(graph: Graph, team: Team) -> None:
    for role in (Role.ADMIN, Role.AGENT):
        one = graph.as_((await factories.team(role, team.app_id)).token)
        assert (await read(one))["name"] == "Acme"
        assert (await one.ask(UPDATE, input={"name": "Mine"})).codes == ["FORBIDDEN"]
    (device,) = await factories.contacts(team.app_id, 1)
    assert (await graph.as_(await factories.device_token(device)).ask(READ)).codes == ["FORBIDDEN"]
    key = await factories.api_key(team, Permission.MANAGE_SETTINGS)
    assert (await change(graph.as_(key.secret), name="Keyed"))["name"] == "Keyed"


async def test_the_zone_is_one_value_with_that_of_the_sending_limits(graph: Graph) -> None:
    await graph.change(LIMITS, timeZone="Asia/Tokyo")
    found = await read(graph)
    assert (found["timeZone"], found["businessHours"]["timeZone"], found["version"]) == ("Asia/Tokyo", "Asia/Tokyo", 2)


async def test_a_second_factor_that_is_required_cannot_be_switched_off(graph: Graph, team: Team) -> None:
    off = [{"feature": "TWO_FACTOR_AUTH", "isEnabled": False}]
    await second_factors.confirmed(team)
    await graph.change(SECURITY, requiresTwoFactor=True)
    assert await graph.refused(UPDATE, features=off) == [
        {"code": "CONFLICT", "message": changing.LOCKED_OUT, "field": ["features", "0", "isEnabled"]}
    ]
    await graph.change(SECURITY, requiresTwoFactor=False)
    await change(graph, features=off)
    (refused,) = await graph.refused(SECURITY, requiresTwoFactor=True)
    assert refused["code"] == "FEATURE_DISABLED"


async def test_of_requiring_a_second_factor_and_switching_it_off_at_once_one_is_refused(
    graph: Graph, team: Team
) -> None:
    await second_factors.confirmed(team)
    off = {"features": [{"feature": "TWO_FACTOR_AUTH", "isEnabled": False}]}
    answers = await asyncio.gather(graph.ask(UPDATE, input=off), graph.ask(SECURITY, input={"requiresTwoFactor": True}))
    payloads = [answers[0].field("updateAppSettings"), answers[1].field("updateAppSecurity")]
    codes = [error["code"] for payload in payloads for error in payload["userErrors"]]
    assert codes in (["CONFLICT"], ["FEATURE_DISABLED"])
