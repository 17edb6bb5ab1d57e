"""Webhooks from outside: an owner sets one up over GraphQL, a real worker delivers, a real receiver checks."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from core.clock import now
from models.team import Role
from models.webhooks import DeliveryStatus
from tests.support import factories, inbox
from tests.support.factories import HOOKS_URL, Team
from tests.support.graph import Graph, address, from_address
from tests.support.hook_receiver import OK, Receiver, answer, is_silent, receiving, says
from tests.support.processes import Api, clock, worker
from tests.support.waiting import until

ERRORS = "userErrors { code message field }"
HOOK = "id url description eventTypes headers { name value } status disabledReason previousSecretExpiresAt"
CREATE = f"""mutation($input: CreateWebhookInput!) {{ createWebhook(input: $input) {{
  webhook {{ {HOOK} }} secret {ERRORS} }} }}"""
UPDATE = f"mutation($input: UpdateWebhookInput!) {{ updateWebhook(input: $input) {{ webhook {{ {HOOK} }} {ERRORS} }} }}"
DELETE = f"mutation($input: WebhookInput!) {{ deleteWebhook(input: $input) {{ webhook {{ id }} {ERRORS} }} }}"
ENABLE = f"mutation($input: WebhookInput!) {{ enableWebhook(input: $input) {{ webhook {{ {HOOK} }} {ERRORS} }} }}"
DISABLE = f"mutation($input: WebhookInput!) {{ disableWebhook(input: $input) {{ webhook {{ {HOOK} }} {ERRORS} }} }}"
ROTATE = f"""mutation($input: RotateWebhookSecretInput!) {{ rotateWebhookSecret(input: $input) {{
  webhook {{ {HOOK} }} secret {ERRORS} }} }}"""
DELIVERY = """id messageId eventType status isTest attemptCount statusCode failure nextRetryAt payload
  attempts { number statusCode failure responseBody requestHeaders }"""
TEST = f"""mutation($input: TestWebhookInput!) {{ testWebhook(input: $input) {{
  webhookDelivery {{ {DELIVERY} }} {ERRORS} }} }}"""
REPLAY = f"""mutation($input: ReplayWebhookDeliveriesInput!) {{ replayWebhookDeliveries(input: $input) {{
  webhookDeliveries {{ id status }} {ERRORS} }} }}"""
REPLAY_FAILED = f"""mutation($input: ReplayFailedWebhookDeliveriesInput!) {{
  replayFailedWebhookDeliveries(input: $input) {{ count {ERRORS} }} }}"""
DELIVERIES = f"""query(
    $id: ID!, $statuses: [DeliveryStatus!], $eventType: WebhookEventType, $since: DateTime, $after: String, $first: Int
  ) {{
  webhookDeliveries(
    webhookId: $id, statuses: $statuses, eventType: $eventType, since: $since, after: $after, first: $first
  ) {{ totalCount nodes {{ {DELIVERY} }} pageInfo {{ endCursor hasNextPage }} }} }}"""
WEBHOOK = f"query($id: ID!) {{ webhook(id: $id) {{ {HOOK} }} }}"
WATCH = "subscription($id: ID!) { webhookDeliveryUpdated(webhookId: $id) { id status attemptCount } }"
CONTACT = f"mutation($input: CreateContactInput!) {{ createContact(input: $input) {{ contact {{ id }} {ERRORS} }} }}"
TYPES = ["CONTACT_CREATED", "MESSAGE_CREATED"]


@pytest.fixture(scope="module")
def open_api(database: None) -> Iterator[Api]:
    """The product, allowed to reach this machine."""
    loopback = {"REPLYHQ_OUTBOUND_ALLOW_LOOPBACK": "true"}
    api, working, ticking = Api(**loopback), worker(**loopback), clock(**loopback)
    for process in (api, working, ticking):
        process.start()
    yield api
    for process in (ticking, working, api):
        process.stop()


@pytest.fixture
async def owner(open_api: Api, team: Team) -> AsyncIterator[Graph]:
    graph = from_address(open_api, team.token, address())
    yield graph
    await graph.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


async def created(owner: Graph, url: str, **fields: Any) -> tuple[str, str]:
    """A webhook's id and secret."""
    made = await owner.change(CREATE, **{"url": url, "eventTypes": TYPES} | fields)
    return made["webhook"]["id"], made["secret"]


async def listed(owner: Graph, id_: str, **asked: Any) -> list[dict[str, Any]]:
    return (await owner.data(DELIVERIES, id=id_, **asked))["webhookDeliveries"]["nodes"]


async def ended(owner: Graph, id_: str, count: int, *statuses: str) -> list[dict[str, Any]]:
    """Its deliveries, once there are so many and all of them stand so."""

    async def look() -> list[dict[str, Any]]:
        return await listed(owner, id_)

    wanted = set(statuses)
    return await until(look, lambda seen: len(seen) == count and {one["status"] for one in seen} <= wanted)


async def test_what_happens_arrives_signed_and_is_listed(owner: Graph, team: Team, receiver: Receiver) -> None:
    id_, secret = await created(owner, receiver.url, headers=[{"name": "X-Shop", "value": "s3cret"}])
    assert secret.startswith("whsec_")
    made = (await owner.change(CONTACT, name="Ada"))["contact"]["id"]
    line = await inbox.line(team)
    said = await line.says("My printer is broken.")
    rows = await ended(owner, id_, 2, "DELIVERED")
    got = {one.said["type"]: one for one in receiver.got}
    assert {name: one.verify(secret) == one.said for name, one in got.items()} == {
        "contact.created": True,
        "message.created": True,
    }
    assert (
        got["contact.created"].said["data"]["contact"] | {"id": made, "name": "Ada"}
        == (got["contact.created"].said["data"]["contact"])
    )
    message = got["message.created"].said["data"]["message"]
    assert (message["id"], message["body"], message["contactId"]) == (
        str(said.id),
        "My printer is broken.",
        str(line.contact_id),
    )
    assert got["message.created"].said["sequence"] > got["contact.created"].said["sequence"]
    assert [one["eventType"] for one in rows] == ["MESSAGE_CREATED", "CONTACT_CREATED"]
    for row in rows:
        sent = next(one for one in receiver.got if one.id == row["messageId"])
        assert row["payload"] == sent.body.decode()
        (tried,) = row["attempts"]
        assert (tried["statusCode"], tried["responseBody"]) == (200, "ok")
        assert tried["requestHeaders"]["X-Shop"] == "•••"
        assert sent.headers["x-shop"] == "s3cret"


async def test_what_is_rolled_back_is_not_told(owner: Graph, receiver: Receiver) -> None:
    id_, _ = await created(owner, receiver.url)
    await owner.change(CONTACT, name="Ada", externalId="one")
    await owner.refused(CONTACT, name="Bob", externalId="one")
    await owner.change(CONTACT, name="Cy", externalId="two")
    await ended(owner, id_, 2, "DELIVERED")
    assert sorted(one.said["data"]["contact"]["name"] for one in receiver.got) == ["Ada", "Cy"]


async def test_filters_and_pages(owner: Graph, team: Team, receiver: Receiver) -> None:
    id_, _ = await created(owner, receiver.url)
    for no in range(3):
        await owner.change(CONTACT, name=f"User {no}")
    await ended(owner, id_, 3, "DELIVERED")
    at = now()
    receiver.talk = says(answer(500))
    await (await inbox.line(team)).says("Hello")
    (failed,) = await ended_of(owner, id_, "MESSAGE_CREATED")
    assert [one["id"] for one in await listed(owner, id_, statuses=["PENDING"])] == [failed["id"]]
    assert [one["id"] for one in await listed(owner, id_, since=at.isoformat())] == [failed["id"]]
    assert len(await listed(owner, id_, eventType="CONTACT_CREATED")) == 3
    assert await listed(owner, id_, since=(now() + timedelta(seconds=5)).isoformat()) == []
    first = (await owner.data(DELIVERIES, id=id_, first=3))["webhookDeliveries"]
    rest = await listed(owner, id_, first=3, after=first["pageInfo"]["endCursor"])
    assert first["totalCount"] == len({one["id"] for one in [*first["nodes"], *rest]}) == 4


async def ended_of(owner: Graph, id_: str, event_type: str) -> list[dict[str, Any]]:
    async def look() -> list[dict[str, Any]]:
        return await listed(owner, id_, eventType=event_type)

    return await until(look, lambda seen: any(one["attempts"] for one in seen))


async def test_a_test_shows_the_answer_also_of_a_disabled_one(owner: Graph, receiver: Receiver) -> None:
    id_, secret = await created(owner, receiver.url)
    await owner.change(DISABLE, id=id_)
    receiver.talk = says(answer(418, body=b"short and stout"))
    row = (await owner.change(TEST, id=id_, eventType="BROADCAST_SENT"))["webhookDelivery"]
    assert (row["status"], row["failure"], row["statusCode"], row["isTest"]) == ("FAILED", "REFUSED", 418, True)
    assert row["attempts"][0]["responseBody"] == "short and stout"
    assert receiver.got[0].verify(secret)["test"] is True
    assert receiver.got[0].said["type"] == "broadcast.sent"
    receiver.talk = says(OK)
    row = (await owner.change(TEST, id=id_))["webhookDelivery"]
    assert (row["status"], row["eventType"]) == ("DELIVERED", "CONTACT_CREATED")


async def test_a_test_of_one_that_is_silent_waits_six_seconds(owner: Graph, receiver: Receiver) -> None:
    receiver.talk = is_silent
    id_, _ = await created(owner, receiver.url)
    row = (await owner.change(TEST, id=id_))["webhookDelivery"]
    assert (row["status"], row["attempts"]) == ("PENDING", [])


async def test_one_several_or_all_that_failed_are_told_again(owner: Graph, team: Team, receiver: Receiver) -> None:
    id_, _ = await created(owner, receiver.url)
    row = await factories.webhook_delivery(team, id_)
    old = await factories.webhook_delivery(team, id_, created_at=now() - timedelta(days=2))
    at = (now() - timedelta(hours=1)).isoformat()
    assert (await owner.change(REPLAY_FAILED, webhookId=id_, since=at))["count"] == 1
    assert {one["status"] for one in await ended(owner, id_, 2, "DELIVERED", "FAILED")} == {"DELIVERED", "FAILED"}
    both = [str(row.id), str(old.id)]
    again = (await owner.change(REPLAY, ids=both))["webhookDeliveries"]
    assert {one["id"] for one in again} == set(both)
    await ended(owner, id_, 2, "DELIVERED")
    assert receiver.ids == {f"msg_{row.event_id.hex}": 2, f"msg_{old.event_id.hex}": 1}


async def test_a_replay_needs_an_enabled_webhook(owner: Graph, team: Team, receiver: Receiver) -> None:
    id_, _ = await created(owner, receiver.url)
    row = await factories.webhook_delivery(team, id_)
    await owner.change(DISABLE, id=id_)
    (error,) = await owner.refused(REPLAY, ids=[str(row.id)])
    assert (error["code"], "enableWebhook" in error["message"]) == ("CONFLICT", True)
    (error,) = await owner.refused(REPLAY_FAILED, webhookId=id_, since=now().isoformat())
    assert error["code"] == "CONFLICT"


async def test_a_disabled_one_is_told_nothing_and_enabled_goes_on(owner: Graph, receiver: Receiver) -> None:
    id_, _ = await created(owner, receiver.url)
    off = (await owner.change(DISABLE, id=id_))["webhook"]
    assert (off["status"], off["disabledReason"]) == ("DISABLED", "MANUAL")
    await owner.change(CONTACT, name="Ada")
    on = (await owner.change(ENABLE, id=id_))["webhook"]
    assert (on["status"], on["disabledReason"]) == ("ENABLED", None)
    await owner.change(CONTACT, name="Bob")
    await ended(owner, id_, 1, "DELIVERED")
    assert [one.said["data"]["contact"]["name"] for one in receiver.got] == ["Bob"]


async def test_rotation_shows_a_new_secret_and_until_when_the_old_one_works(owner: Graph, receiver: Receiver) -> None:
    id_, old = await created(owner, receiver.url)
    made = await owner.change(ROTATE, id=id_)
    assert made["secret"] != old
    assert made["webhook"]["previousSecretExpiresAt"] is not None
    await owner.change(CONTACT, name="Ada")
    await ended(owner, id_, 1, "DELIVERED")
    assert receiver.got[0].verify(old) == receiver.got[0].verify(made["secret"])
    at_once = await owner.change(ROTATE, id=id_, overlapHours=0)
    assert at_once["webhook"]["previousSecretExpiresAt"] is None
    assert (await owner.refused(ROTATE, id=id_, overlapHours=169))[0]["field"] == ["overlapHours"]


async def test_headers_are_masked_and_a_value_that_is_left_out_stays(owner: Graph, receiver: Receiver) -> None:
    id_, _ = await created(owner, receiver.url, headers=[{"name": "X-A", "value": "aaaa"}])
    changed = await owner.change(UPDATE, id=id_, headers=[{"name": "x-a"}, {"name": "X-B", "value": "bbbb"}])
    assert changed["webhook"]["headers"] == [{"name": "x-a", "value": "•••"}, {"name": "X-B", "value": "•••"}]
    await owner.change(CONTACT, name="Ada")
    await ended(owner, id_, 1, "DELIVERED")
    assert (receiver.got[0].headers["x-a"], receiver.got[0].headers["x-b"]) == ("aaaa", "bbbb")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "http://example.com"}, "url"),
        ({"url": "https://example.com:8080"}, "url"),
        ({"url": "https://user:password@example.com"}, "url"),
        ({"url": "https://169.254.169.254/latest"}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": f"https://example.com/{'x' * 2000}"}, "url"),
        ({"eventTypes": []}, "eventTypes"),
        ({"description": "x" * 501}, "description"),
        ({"headers": [{"name": "Webhook-Id", "value": "x"}]}, "headers.0.name"),
        ({"headers": [{"name": "Host", "value": "x"}]}, "headers.0.name"),
        ({"headers": [{"name": "a b", "value": "x"}]}, "headers.0.name"),
        ({"headers": [{"name": "X-A", "value": "a\r\nb: c"}]}, "headers.0.value"),
        ({"headers": [{"name": "X-A"}]}, "headers.0.value"),
        ({"headers": [{"name": "X-A", "value": "1"}, {"name": "x-a", "value": "2"}]}, "headers.1.name"),
        ({"headers": [{"name": f"X-{no}", "value": "x"} for no in range(11)]}, "headers"),
    ],
)
async def test_what_is_refused(owner: Graph, fields: dict[str, Any], field: str) -> None:
    (error,) = await owner.refused(CREATE, **{"url": HOOKS_URL, "eventTypes": TYPES} | fields)
    assert (error["code"], error["field"]) == ("BAD_USER_INPUT", field.split("."))


async def test_an_app_has_fifty_at_most(owner: Graph, team: Team) -> None:
    for _ in range(50):
        gone, _secret = await factories.webhook(team)
    (error,) = await owner.refused(CREATE, url=HOOKS_URL, eventTypes=TYPES)
    assert error["code"] == "CONFLICT"
    await owner.change(DELETE, id=str(gone.id))
    await created(owner, HOOKS_URL)
    assert (await owner.ask(WEBHOOK, id=str(gone.id))).codes == ["NOT_FOUND"]
    assert (await owner.ask(DELIVERIES, id=str(gone.id))).codes == ["NOT_FOUND"]


async def test_admins_look_on_and_agents_do_not(owner: Graph, team: Team, receiver: Receiver) -> None:
    id_, _ = await created(owner, receiver.url)
    admin = owner.as_((await factories.team(Role.ADMIN, team.app_id)).token)
    agent = owner.as_((await factories.team(Role.AGENT, team.app_id)).token)
    assert (await admin.data(WEBHOOK, id=id_))["webhook"]["id"] == id_
    assert (await agent.ask(WEBHOOK, id=id_)).codes == ["FORBIDDEN"]
    assert (await admin.ask(DISABLE, input={"id": id_})).codes == ["FORBIDDEN"]


async def test_who_watches_sees_it_come_and_arrive(owner: Graph, receiver: Receiver) -> None:
    id_, _ = await created(owner, receiver.url)
    seen: list[dict[str, Any]] = []
    async with owner.connect() as socket:
        frames = socket.frames(WATCH, id=id_)
        first = asyncio.create_task(anext(frames))
        while not first.done():  # the subscription is there a moment after it was asked for
            await owner.change(CONTACT, name="Ada")
            await asyncio.wait({first}, timeout=0.5)
        seen.append(await first)
        async with asyncio.timeout(20):
            while seen[-1]["status"] != DeliveryStatus.DELIVERED:
                seen.append(await anext(frames))
    assert seen[-1]["attemptCount"] == 1
