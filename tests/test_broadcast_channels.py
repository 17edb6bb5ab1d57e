"""A broadcast through all channels, end to end: real processes, providers that are simulated on the wire."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest
import sqlalchemy as sa

from core import presence
from core.clock import now
from core.database import transaction
from domain import bulk
from models.channel_accounts import ChannelAccount
from tests.support.channel_app import ChannelApp, Providers, providers
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.waiting import until
from tests.test_broadcasts import RECEIVE, SEND

SCHEDULE = """mutation($input: ScheduleBroadcastInput!) {
  scheduleBroadcast(input: $input) { broadcast { status } userErrors { code message field } } }"""
TEST = """mutation($input: SendTestBroadcastInput!) {
  sendTestBroadcast(input: $input) { deviceCount userErrors { code message field } } }"""
RETRY = """mutation($input: RetryBroadcastInput!) {
  retryBroadcast(input: $input) { broadcast { status } userErrors { code message field } } }"""
HOLD = """mutation($input: BroadcastInput!) { %sBroadcast(input: $input) {
  broadcast { status } userErrors { code message field } } }"""
ANALYTICS = """query($id: ID!) { broadcastAnalytics(broadcastId: $id) {
  stats { totalRecipients totalSent totalClicked totalSkipped }
  deviceBreakdown { value recipients clicked } skippedByReason { code count } failedByCode { code count } } }"""
OPT_OUTS = "query($id: ID!) { contact(id: $id) { optOuts { channel reason } } }"
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
SALE = "https://example.com/sale"
PROMISED_SECONDS = 2.0


@pytest.fixture(scope="module")
async def ground(database: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Providers]:
    async with providers(tmp_path_factory.mktemp("providers")) as made:
        yield made


@pytest.fixture
async def app(ground: Providers, team: Team) -> AsyncIterator[ChannelApp]:
    graph = Graph(ground.api.graphql, ground.api.socket, team.token)
    ground.ground.behave()
    yield ChannelApp(ground, team, graph)
    await graph.close()


def row(platform: str | None, status: str, channel: str | None, code: str | None = None) -> dict[str, Any]:
    return {"platform": platform, "status": status, "channel": channel, "errorCode": code}


async def test_each_is_reached_once_by_their_channel_and_what_they_do_is_counted(app: ChannelApp) -> None:
    await app.set_up("fcm", "apns", "webPush", "smtp")
    for platform in ("ANDROID", "IOS", "WEB"):
        await app.person(platform)
    mailbox = f"{app.name}@example.org"
    ada, _ = await app.person(name="Ada Byron", emails=[mailbox])
    broadcast_id = await app.draft("PUSH", "EMAIL", body=f'{{{{ contact.firstName | default: "You" }}}}, see {SALE}!')
    await app.graph.change(SCHEDULE, id=broadcast_id, scheduledAt=(now() + timedelta(seconds=1)).isoformat())

    found = await app.ended(broadcast_id)
    assert sorted(found, key=str) == sorted(
        [row(platform, "SENT", "PUSH") for platform in ("ANDROID", "IOS", "WEB")] + [row(None, "SENT", "EMAIL")],
        key=str,
    )
    assert app.taken == {"FCM android": 1, "APNS ios": 1, "WEB_PUSH web": 1}
    (mail,) = [mail for mail, to in zip(app.providers.mail.got, app.providers.mail.to, strict=True) if to == [mailbox]]

    await click_and_unsubscribe(mail)
    (of_ada,) = [one for one in await app.recipients(broadcast_id) if one["platform"] is None]
    assert of_ada["status"] == "CLICKED"
    seen = (await app.graph.data(ANALYTICS, id=broadcast_id))["broadcastAnalytics"]
    assert seen["stats"] == {"totalRecipients": 4, "totalSent": 4, "totalClicked": 1, "totalSkipped": 0}
    assert [one["clicked"] for one in seen["deviceBreakdown"] if one["value"] == ""] == [1]
    assert (await app.graph.data(OPT_OUTS, id=ada))["contact"]["optOuts"] == [
        {"channel": "EMAIL", "reason": "UNSUBSCRIBED"}
    ]

    again = await app.draft("EMAIL", body="Once more")
    await app.graph.change(SEND, id=again)
    assert await app.ended(again, "FAILED") == [row(None, "SKIPPED", None, "OPTED_OUT")]
    seen = (await app.graph.data(ANALYTICS, id=again))["broadcastAnalytics"]
    assert seen["skippedByReason"] == [{"code": "OPTED_OUT", "count": 1}]


async def click_and_unsubscribe(mail: Any) -> None:
    """What a reader of the mail does: follows its link, and has their mail service unsubscribe them."""
    text = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    greeting, _, rest = text.partition(", see ")
    url, _, foot = rest.partition("!\n")
    assert greeting == "Ada"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    out = mail["List-Unsubscribe"].strip("<>")
    assert foot == f"\n-- \nUnsubscribe: {out}\n"
    async with httpx2.AsyncClient(headers=BROWSER, timeout=30) as http:
        followed = await http.get(url)
        assert (followed.status_code, followed.headers["Location"]) == (302, SALE)
        done = await http.post(out, data={"List-Unsubscribe": "One-Click"})
        assert done.status_code == 200


async def test_a_dead_token_is_forgotten(app: ChannelApp) -> None:
    await app.set_up("fcm")
    await app.person("ANDROID")
    app.providers.ground.behave(dead=1.0)
    broadcast_id, next_id = await app.draft("PUSH"), await app.draft("PUSH")
    await app.graph.change(SEND, id=broadcast_id)
    assert await app.ended(broadcast_id, "FAILED") == [row("ANDROID", "FAILED", "PUSH", "UNREGISTERED")]
    seen = (await app.graph.data(ANALYTICS, id=broadcast_id))["broadcastAnalytics"]
    assert seen["failedByCode"] == [{"code": "UNREGISTERED", "count": 1}]
    (refused,) = await app.graph.refused(SEND, id=next_id)
    assert (refused["code"], refused["field"]) == ("EMPTY_AUDIENCE", ["id"])
    assert not app.taken


async def test_a_busy_provider_gets_it_later(app: ChannelApp) -> None:
    await app.set_up("apns")
    await app.person("IOS")
    app.providers.ground.behave(busy=1.0, retry_after=1)
    broadcast_id = await app.draft("PUSH")
    await app.graph.change(SEND, id=broadcast_id)
    put_off = [row("IOS", "DEFERRED", "PUSH", "RATE_LIMITED")]
    await until(lambda: app.recipients(broadcast_id), lambda seen: seen == put_off)
    assert not app.taken
    app.providers.ground.behave()
    assert await app.ended(broadcast_id) == [row("IOS", "SENT", "PUSH")]
    assert app.taken == {"APNS ios": 1}


async def test_what_was_taken_without_an_answer_is_uncertain_until_it_is_settled(app: ChannelApp) -> None:
    await app.set_up("webPush")
    await app.person("WEB")
    app.providers.ground.behave(lost=1.0)
    broadcast_id = await app.draft("PUSH")
    await app.graph.change(SEND, id=broadcast_id)
    assert await app.ended(broadcast_id) == [row("WEB", "UNCERTAIN", "PUSH", "NO_ANSWER")]
    assert app.taken == {"WEB_PUSH web": 1}
    again = await app.graph.change(RETRY, id=broadcast_id, what="UNCERTAIN_AS_SENT")
    assert again["broadcast"]["status"] == "SENDING"
    assert await app.ended(broadcast_id) == [row("WEB", "SENT", "PUSH")]
    assert app.taken == {"WEB_PUSH web": 1}


async def test_an_account_that_does_not_open_sends_nothing_and_leaves_nobody_uncertain(app: ChannelApp) -> None:
    await app.set_up("fcm")
    await app.person("ANDROID")
    broadcast_id = await app.draft("PUSH")
    async with transaction() as session:
        own = sa.update(ChannelAccount).where(ChannelAccount.app_id == app.team.app_id)
        await session.execute(own.values(credentials="lost:AAAA"))
    await app.graph.change(SEND, id=broadcast_id)
    waits = [row("ANDROID", "DEFERRED", None, "UNAVAILABLE")]
    await until(lambda: app.recipients(broadcast_id), lambda seen: seen == waits)
    assert not app.taken
    await app.graph.change(HOLD % "cancel", id=broadcast_id)


async def test_a_channel_that_is_not_set_up_is_refused_before_anything_is_queued(app: ChannelApp) -> None:
    await app.set_up("fcm")
    await app.person("ANDROID", emails=["ada@example.org"])
    broadcast_id = await app.draft("PUSH", "EMAIL")
    asked = (
        await app.graph.refused(SEND, id=broadcast_id),
        await app.graph.refused(SCHEDULE, id=broadcast_id, cron="0 9 * * 1"),
    )
    refusal = {
        "code": "BAD_USER_INPUT",
        "message": "EMAIL is not set up: give the app's SMTP account with setChannelAccount.",
        "field": ["id"],
    }
    assert asked == ([refusal], [refusal])
    assert await app.ended(broadcast_id, "DRAFT") == []
    assert not app.taken


async def test_a_test_goes_by_the_channels_of_the_broadcast(app: ChannelApp) -> None:
    await app.set_up("fcm", "smtp")
    contact_id, _ = await app.person("ANDROID")
    mailbox = f"test-{app.name}@example.org"
    other_id, _ = await app.person(emails=[mailbox])
    broadcast_id = await app.draft("PUSH", "EMAIL", title="Autumn sale")
    asked = await app.graph.change(TEST, id=broadcast_id, contactIds=[contact_id, other_id])
    assert asked["deviceCount"] == 2

    async def mails() -> list[str]:
        got = zip(app.providers.mail.got, app.providers.mail.to, strict=True)
        return [mail["Subject"] for mail, to in got if to == [mailbox]]

    await until(mails, lambda seen: seen == ["[Test] Autumn sale"] and app.taken == {"FCM android": 1})
    assert await app.ended(broadcast_id, "DRAFT") == []


async def test_a_slow_mail_server_costs_nobody_their_mail(app: ChannelApp) -> None:
    """A batch takes several times as long as a lease; whoever sends it goes on owning it."""
    await app.set_up("smtp")
    people = [{"external_id": str(no), "emails": [f"{no}-{app.name}@example.org"]} for no in range(40)]
    async with transaction() as session:
        await bulk.add_contacts(session, app.team.app_id, people)
    app.providers.mail.pause_seconds = 0.2
    broadcast_id = await app.draft("EMAIL")
    await app.graph.change(SEND, id=broadcast_id)
    found = await app.ended(broadcast_id)
    app.providers.mail.pause_seconds = 0.0
    assert found == [row(None, "SENT", "EMAIL")] * len(people)
    assert Counter(to for (to,) in app.providers.mail.to if app.name in to) == {one["emails"][0]: 1 for one in people}


async def test_pause_and_cancel_take_effect_within_two_seconds(app: ChannelApp) -> None:
    await app.set_up("fcm")
    everybody = await app.many(3_000)
    app.providers.ground.behave(latency_ms=100)
    broadcast_id = await app.draft("PUSH")
    await app.graph.change(SEND, id=broadcast_id)
    for verb, status in (("pause", "PAUSED"), ("cancel", "CANCELLED")):
        before = app.taken.total()
        await until(look(app), lambda total, before=before: total > before)
        assert (await app.graph.change(HOLD % verb, id=broadcast_id))["broadcast"]["status"] == status
        await asyncio.sleep(PROMISED_SECONDS)  # it is what is promised, and not for luck
        held = app.taken.total()
        await asyncio.sleep(1)
        assert app.taken.total() == held < everybody
        if verb == "pause":
            await app.graph.change(HOLD % "resume", id=broadcast_id)
    assert set(app.taken.values()) == {1}


def look(app: ChannelApp) -> Any:
    async def total() -> int:
        return app.taken.total()

    return total


async def test_a_device_that_is_connected_gets_it_in_app_and_by_push_when_it_is_not(app: ChannelApp) -> None:
    await app.set_up("apns")
    _, registered = await app.person("IOS")
    device_id, device = UUID(registered["device"]["id"]), app.graph.as_(registered["token"])

    async def is_online() -> bool:
        return bool(await presence.online([device_id]))

    async with device.connect() as socket:
        await socket.start(RECEIVE)
        await until(is_online)
        online_id = await app.draft("PUSH", "IN_APP", title="In-app")
        await app.graph.change(SEND, id=online_id)
        message = (await socket.receive())["payload"]["data"]["inAppMessageReceived"]
    assert message["title"] == "In-app"
    assert await app.ended(online_id) == [row("IOS", "SENT", "IN_APP")]
    assert not app.taken

    await until(is_online, lambda seen: not seen)
    offline_id = await app.draft("PUSH", "IN_APP", title="Push")
    await app.graph.change(SEND, id=offline_id)
    assert await app.ended(offline_id) == [row("IOS", "SENT", "PUSH")]
    assert app.taken == {"APNS ios": 1}
