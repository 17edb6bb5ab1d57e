"""Webhooks delivered to real receivers, whatever these do, each as docs/webhooks.md says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from standardwebhooks import Webhook as Library
from standardwebhooks import WebhookVerificationError

from channels import http as guarded
from channels.http import Http
from core.clock import now
from core.config import config
from core.database import transaction
from core.embedded.ports import free_port
from core.encryption import new_key
from domain.webhooks import claiming, control, pace, settling
from domain.webhooks.settling import Tried
from jobs import channels
from jobs import webhooks as sender
from models.facts import Fact, FactKind
from models.webhooks import DeliveryFailure, DeliveryStatus, WebhookDelivery, WebhookEventType, WebhookStop
from tests.support import factories, hooks
from tests.support.factories import Team
from tests.support.hook_receiver import OK, Receiver, Talk, answer, is_silent, receiving, says
from tests.support.waiting import until

CREATED = WebhookEventType.CONTACT_CREATED
PENDING, DELIVERED, FAILED = DeliveryStatus


@pytest.fixture(autouse=True)
async def worker_of_this_process(database: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """This process delivers, also to this machine; nothing of other tests is due."""
    monkeypatch.setenv("REPLYHQ_OUTBOUND_ALLOW_LOOPBACK", "true")
    config.cache_clear()
    await channels.http().close()  # of other tests
    channels.http.cache_clear()
    await hooks.quiet()
    yield
    await hooks.quiet()
    await channels.http().close()
    channels.http.cache_clear()
    config.cache_clear()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A try takes a second at most."""
    monkeypatch.setattr(guarded, "SECONDS", 1.0)


async def test_it_is_posted_signed_once_and_what_came_of_it_is_kept(team: Team, receiver: Receiver) -> None:
    webhook, secret = await factories.webhook(team, receiver.url, CREATED)
    (contact,) = await hooks.happens(team)
    await hooks.delivered()
    await hooks.delivered()
    (got,) = receiver.got
    (row,) = await hooks.of(webhook)
    assert got.verify(secret) == got.said
    assert (got.said["type"], got.said["data"]["contact"]["id"]) == ("contact.created", str(contact.id))
    assert (got.id, got.said["id"]) == (f"msg_{row.event_id.hex}",) * 2
    assert got.headers["content-type"] == "application/json"
    assert (row.status, row.attempt_count, row.due_at, row.lease_until) == (DELIVERED, 1, None, None)
    (tried,) = await hooks.attempts(row)
    assert (tried.status_code, tried.failure, tried.response_body, tried.url) == (200, None, "ok", receiver.url)
    assert tried.request_headers["webhook-id"] == got.id
    assert (await hooks.read(webhook)).failing_since is None


async def test_a_tampered_byte_an_old_instant_and_another_secret_do_not_verify(team: Team, receiver: Receiver) -> None:
    _, secret = await factories.webhook(team, receiver.url, CREATED)
    _, other = await factories.webhook(await factories.team(), receiver.url, CREATED)
    await hooks.happens(team)
    await hooks.delivered()
    (got,) = receiver.got
    assert got.verify(secret) == got.said
    for at in (0, len(got.body) // 2, len(got.body) - 1):
        changed = bytearray(got.body)
        changed[at] ^= 1
        with pytest.raises(WebhookVerificationError):
            Library(secret).verify(bytes(changed), got.headers)
    with pytest.raises(WebhookVerificationError):
        got.verify(other)
    with pytest.raises(WebhookVerificationError):
        Library(secret).verify(got.body, got.headers | {"webhook-id": "msg_other"})
    with time_machine.travel(now() + timedelta(minutes=6), tick=False), pytest.raises(WebhookVerificationError):
        got.verify(secret)


async def test_while_a_secret_is_replaced_both_verify_and_then_the_new_one_alone(
    team: Team, receiver: Receiver
) -> None:
    webhook, old = await factories.webhook(team, receiver.url, CREATED)
    await hooks.happens(team)  # it waits while the secret is replaced
    async with transaction() as session:
        new = (await control.rotate_secret(session, factories.principal(team), webhook.id, 24)).secret
    await hooks.delivered()
    assert receiver.got[-1].verify(old) == receiver.got[-1].verify(new) == receiver.got[-1].said
    await hooks.put(webhook, previous_secret_expires_at=now())
    await hooks.happens(team)
    await hooks.delivered()
    assert receiver.got[-1].verify(new) == receiver.got[-1].said
    with pytest.raises(WebhookVerificationError):
        receiver.got[-1].verify(old)


async def test_one_that_has_leaked_is_of_no_use_at_once(team: Team, receiver: Receiver) -> None:
    webhook, old = await factories.webhook(team, receiver.url, CREATED)
    async with transaction() as session:
        new = (await control.rotate_secret(session, factories.principal(team), webhook.id, 0)).secret
    await hooks.happens(team)
    await hooks.delivered()
    assert receiver.got[-1].verify(new)
    with pytest.raises(WebhookVerificationError):
        receiver.got[-1].verify(old)


async def test_eight_tries_over_a_day_with_one_id_and_then_it_is_given_up(team: Team, receiver: Receiver) -> None:
    receiver.talk = says(answer(500, body=b"broken"))
    webhook, secret = await factories.webhook(team, receiver.url, CREATED)
    await hooks.happens(team)
    waits = []
    for _ in range(9):
        at = now()
        await hooks.delivered()
        (row,) = await hooks.of(webhook)
        waits.append(row.due_at and row.due_at - at)
        await hooks.let_pass(webhook)
    assert waits.pop() is None
    assert waits.pop() is None
    for waited, told in zip(waits, pace.WAITS, strict=True):
        assert 0.8 * told <= waited <= 1.2 * told + timedelta(seconds=5)
    assert timedelta(hours=27) < sum(pace.WAITS, timedelta()) < timedelta(hours=28)
    assert receiver.ids == {receiver.got[0].id: 8}
    assert len({one.body for one in receiver.got}) == 1
    assert all(one.verify(secret) for one in receiver.got)
    assert (row.status, row.failure, row.status_code, row.attempt_count) == (FAILED, DeliveryFailure.REFUSED, 500, 8)
    assert [one.number for one in await hooks.attempts(row)] == list(range(1, 9))
    await hooks.replayed(team, row.id)
    receiver.talk = says(OK)
    await hooks.delivered()
    (row,) = await hooks.of(webhook)
    assert (row.status, row.attempt_count, receiver.ids) == (DELIVERED, 9, {receiver.got[0].id: 9})


ENDS: list[Any] = [
    pytest.param(says(answer(500)), PENDING, DeliveryFailure.REFUSED, 500, id="500"),
    pytest.param(says(answer(404)), PENDING, DeliveryFailure.REFUSED, 404, id="404"),
    pytest.param(says(answer(429, "Retry-After: 7")), PENDING, DeliveryFailure.REFUSED, 429, id="429"),
    pytest.param(says(answer(204)), DELIVERED, None, 204, id="204"),
    pytest.param(says(answer(410)), FAILED, DeliveryFailure.GONE, 410, id="410"),
    pytest.param(
        says(answer(301, "Location: http://169.254.169.254/latest/meta-data")),
        PENDING,
        DeliveryFailure.REDIRECTED,
        301,
        id="redirect-inside",
    ),
    pytest.param(
        says(b"HTTP/1.1 200 OK\r\nX-A: \xff\xfe\x80\r\nContent-Length: 4\r\n\r\n\xff\x00\xc3("),
        DELIVERED,
        None,
        200,
        id="no-text",
    ),
    pytest.param(is_silent, PENDING, DeliveryFailure.NO_ANSWER, None, id="silent"),
    pytest.param(says(b"nonsense\r\n\r\n"), PENDING, DeliveryFailure.NO_ANSWER, None, id="nonsense"),
    pytest.param(
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n", *[b"x" * 65536] * 160),
        DELIVERED,
        None,
        200,
        id="ten-megabytes",
    ),
    pytest.param(
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", *[b"x"] * 9999, pause=0.05),
        DELIVERED,
        None,
        200,
        id="drip-of-the-body",
    ),
    pytest.param(
        says(b"HTTP/1.1 200 OK\r\n", *[b"X-A: 1\r\n"] * 9999, pause=0.05),
        PENDING,
        DeliveryFailure.NO_ANSWER,
        None,
        id="drip-of-headers",
    ),
]


@pytest.mark.parametrize(("talk", "status", "failure", "code"), ENDS)
async def test_each_receiver_ends_as_the_docs_say_and_others_go_on(  # noqa: PLR0917
    team: Team,
    receiver: Receiver,
    briefly: None,
    talk: Talk,
    status: DeliveryStatus,
    failure: DeliveryFailure | None,
    code: int | None,
) -> None:
    async with receiving(talk) as bad:
        webhook, _ = await factories.webhook(team, bad.url, CREATED)
        await factories.webhook(team, receiver.url, CREATED)
        await hooks.happens(team, 2)
        await hooks.delivered()
        assert [(one.status, one.failure, one.status_code) for one in await hooks.of(webhook)] == [
            (status, failure, code)
        ] * 2
        assert sorted(receiver.ids.values()) == [1, 1]
        assert set(bad.ids.values()) == {1}
        for row in await hooks.of(webhook):
            (tried,) = await hooks.attempts(row)
            assert len(tried.response_body or "") <= 4096


async def test_nobody_listens(team: Team, receiver: Receiver) -> None:
    webhook, _ = await factories.webhook(team, f"http://127.0.0.1:{free_port(None)}/", CREATED)
    await hooks.happens(team)
    await hooks.delivered()
    (row,) = await hooks.of(webhook)
    assert (row.status, row.failure, row.status_code) == (PENDING, DeliveryFailure.NOT_CONNECTED, None)


@pytest.mark.parametrize(("code", "others_wait"), [(429, True), (503, True), (500, False)])
async def test_who_asks_to_wait_is_waited_for(team: Team, receiver: Receiver, code: int, others_wait: bool) -> None:
    receiver.talk = says(answer(code, "Retry-After: 7200"))
    webhook, _ = await factories.webhook(team, receiver.url, CREATED)
    await hooks.happens(team)
    at = now()
    await hooks.delivered()
    (row,) = await hooks.of(webhook)
    assert timedelta(hours=2) <= row.due_at - at < timedelta(hours=2, minutes=1)
    receiver.talk = says(OK)
    await hooks.happens(team)
    await hooks.delivered()
    assert len(receiver.got) == (1 if others_wait else 2)
    paused = (await hooks.read(webhook)).paused_until
    assert (paused is not None and paused > now() + timedelta(minutes=119)) is others_wait


async def test_a_day_is_the_longest_that_is_waited(team: Team, receiver: Receiver) -> None:
    receiver.talk = says(answer(429, "Retry-After: 999999"))
    webhook, _ = await factories.webhook(team, receiver.url, CREATED)
    await hooks.happens(team)
    await hooks.delivered()
    (row,) = await hooks.of(webhook)
    assert timedelta(hours=23) < row.due_at - now() <= timedelta(hours=24)


async def test_410_disables_and_what_waits_is_kept(team: Team, receiver: Receiver) -> None:
    webhook, _ = await factories.webhook(team, receiver.url, CREATED)
    receiver.talk = says(answer(500))
    await hooks.happens(team)
    await hooks.delivered()
    receiver.talk = says(answer(410))
    await hooks.happens(team)
    await hooks.delivered()
    row = await hooks.read(webhook)
    assert (row.disabled_reason, row.disabled_at is not None) == (WebhookStop.GONE, True)
    assert await disabled_facts(team) == [{"reason": "GONE"}]
    assert [one.status for one in await hooks.of(webhook)] == [PENDING, FAILED]
    receiver.talk = says(OK)
    await hooks.let_pass(webhook)
    await hooks.happens(team)  # it is not told: it is disabled
    await hooks.delivered()
    assert len(receiver.got) == 2
    async with transaction() as session:
        await control.enable(session, factories.principal(team), webhook.id)
    await hooks.delivered()
    assert [one.status for one in await hooks.of(webhook)] == [DELIVERED, FAILED]


async def disabled_facts(team: Team) -> list[dict[str, Any]]:
    async with transaction() as session:
        rows = sa.select(Fact.data).where(Fact.app_id == team.app_id, Fact.kind == FactKind.WEBHOOK_DISABLED)
        return list(await session.scalars(rows))


async def test_after_five_days_without_success_it_is_disabled_and_its_owner_is_told(
    team: Team, receiver: Receiver
) -> None:
    receiver.talk = says(answer(500))
    webhook, _ = await factories.webhook(team, receiver.url, CREATED)
    days = pace.FAILING_MOST - timedelta(minutes=1)
    await hooks.put(webhook, failing_since=now() - days, failures=pace.FAILING_TRIES)
    await hooks.happens(team)
    await hooks.delivered()
    assert (await hooks.read(webhook)).disabled_reason is None
    await hooks.put(webhook, failing_since=now() - pace.FAILING_MOST)
    await hooks.let_pass(webhook)
    await hooks.delivered()
    assert (await hooks.read(webhook)).disabled_reason is WebhookStop.FAILING
    assert await disabled_facts(team) == [{"reason": "FAILING"}]
    assert [one.status for one in await hooks.of(webhook)] == [PENDING]


async def test_one_failure_after_a_quiet_week_disables_nothing(team: Team, receiver: Receiver) -> None:
    receiver.talk = says(answer(500))
    webhook, _ = await factories.webhook(team, receiver.url, CREATED)
    await hooks.put(webhook, failing_since=now() - timedelta(days=8), failures=1)
    await hooks.happens(team)
    await hooks.delivered()
    assert (await hooks.read(webhook)).disabled_reason is None


async def test_one_that_takes_something_again_is_as_new(team: Team, receiver: Receiver) -> None:
    webhook, _ = await factories.webhook(team, receiver.url, CREATED)
    await hooks.put(webhook, failing_since=now() - timedelta(days=4), failures=40, paused_until=now())
    await hooks.happens(team)
    await hooks.delivered()
    row = await hooks.read(webhook)
    assert (row.failing_since, row.failures, row.paused_until) == (None, 0, None)


async def test_an_endpoint_has_no_more_requests_at_once_than_it_may(team: Team, receiver: Receiver) -> None:
    receiver.talk = says(OK, pause=0.02)
    await factories.webhook(team, receiver.url, CREATED)
    await hooks.happens(team, 3 * pace.AT_ONCE)
    await hooks.delivered()
    assert sum(receiver.ids.values()) == 3 * pace.AT_ONCE
    assert 1 < receiver.most_open <= pace.AT_ONCE


async def test_a_dead_endpoint_is_tried_one_by_one_and_slows_no_other(team: Team, receiver: Receiver) -> None:
    ends = asyncio.Event()

    async def hangs(writer: asyncio.StreamWriter) -> None:
        await ends.wait()
        writer.transport.abort()

    async with receiving(hangs) as dead:
        webhook, _ = await factories.webhook(team, dead.url, CREATED)
        await factories.webhook(team, receiver.url, CREATED)
        await hooks.happens(team, 30)
        working = asyncio.create_task(hooks.delivered())

        async def arrived() -> tuple[int, int, int]:
            return len(receiver.got), len(dead.got), dead.open

        await until(arrived, lambda seen: seen == (30, pace.AT_ONCE, pace.AT_ONCE))
        ends.set()
        await working
        assert len(dead.got) == pace.AT_ONCE
        row = await hooks.read(webhook)
        assert row.failures == pace.OPENS_AFTER
        assert timedelta() < row.paused_until - row.failing_since <= timedelta(seconds=40)
        for probe in (1, 2):
            await hooks.let_pass(webhook)
            await hooks.delivered()
            assert len(dead.got) == pace.AT_ONCE + probe
        dead.talk = says(OK)
        await hooks.let_pass(webhook)
        await hooks.delivered()
        assert {one.status for one in await hooks.of(webhook)} == {DELIVERED}
        assert len(dead.ids) == 30


async def test_a_name_that_turns_inside_is_refused(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first time it is public, as it was when the webhook was made; then it leads to the receiver's machine."""
    asked = []

    async def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    strict = Http(allow_loopback=False, lookup=rebinding)
    webhook, _ = await factories.webhook(team, "https://rebinding.example/hooks", CREATED)
    await hooks.happens(team)
    with monkeypatch.context() as patch:
        patch.setattr(channels, "http", lambda: strict)
        await hooks.delivered()
    (row,) = await hooks.of(webhook)
    assert asked == ["rebinding.example"]
    assert (row.status, row.failure) == (PENDING, DeliveryFailure.BLOCKED_URL)
    await strict.close()


async def test_headers_of_ones_own_go_along_and_no_secret_is_kept_in_the_clear(team: Team, receiver: Receiver) -> None:
    async with transaction() as session:
        fields = {"url": receiver.url, "event_types": [CREATED], "headers": [("X-Shop", "s3cret-value")]}
        fields["headers"] = [control.fields.Header(*one) for one in fields["headers"]]
        made = await control.create(session, factories.principal(team), fields)
    receiver.talk = says(answer(200, "X-Echo: s3cret-value", body=f"you said s3cret-value and {made.secret}".encode()))
    await hooks.happens(team)
    await hooks.delivered()
    assert receiver.got[0].headers["x-shop"] == "s3cret-value"
    (row,) = await hooks.of(made.webhook)
    (tried,) = await hooks.attempts(row)
    assert tried.request_headers["X-Shop"] == tried.response_headers["X-Echo"] == "•••"
    assert tried.response_body == "you said ••• and •••"
    assert "s3cret-value" not in (await hooks.read(made.webhook)).headers


async def test_without_its_key_nothing_is_tried_and_no_try_is_lost(
    team: Team, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook, _ = await factories.webhook(team, receiver.url, CREATED)
    await hooks.happens(team)
    with monkeypatch.context() as patch:
        patch.setenv("REPLYHQ_ENCRYPTION_KEYS", f"other:{new_key()}")
        config.cache_clear()
        await hooks.delivered()
    config.cache_clear()
    (row,) = await hooks.of(webhook)
    assert (row.status, row.tries, receiver.got) == (PENDING, 0, [])
    await hooks.let_pass(webhook)
    await hooks.delivered()
    assert len(receiver.got) == 1


async def test_who_has_lost_its_claim_writes_nothing(team: Team, receiver: Receiver) -> None:
    webhook, _ = await factories.webhook(team, receiver.url, CREATED)
    await hooks.happens(team)
    async with transaction() as session:
        (parcel,) = await claiming.claim(session, 10)
    async with transaction() as session:
        assert await claiming.claim(session, 10) == []
    await hooks.let_pass(webhook)
    await hooks.delivered()
    late = Tried(parcel, datetime.now(UTC), 1, 500, DeliveryFailure.REFUSED)
    async with transaction() as session:
        await settling.settle(session, [late])
    (row,) = await hooks.of(webhook)
    assert (row.status, row.attempt_count, row.status_code) == (DELIVERED, 2, 200)
    assert [one.number for one in await hooks.attempts(row)] == [2]
    assert (await hooks.read(webhook)).failing_since is None


async def test_one_of_which_its_worker_dies_each_time_is_given_up(team: Team, receiver: Receiver) -> None:
    webhook, _ = await factories.webhook(team, receiver.url, CREATED)
    await hooks.happens(team)
    for _ in range(pace.TRIES):
        async with transaction() as session:
            assert len(await claiming.claim(session, 10)) == 1
        await hooks.let_pass(webhook)
    await hooks.delivered()
    (row,) = await hooks.of(webhook)
    assert (row.status, row.failure, row.due_at) == (FAILED, DeliveryFailure.WORKER_DIED, None)
    assert receiver.got == []


async def test_the_answer_is_written_when_the_database_is_back(
    team: Team, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook, _ = await factories.webhook(team, receiver.url, CREATED)
    await hooks.happens(team)
    written, times = settling.settle, []

    async def away_twice(*given: Any) -> None:
        times.append(now())
        if len(times) < 3:
            raise sender.Unavailable("away")
        await written(*given)

    monkeypatch.setattr(settling, "settle", away_twice)
    await hooks.delivered()
    assert (len(times), receiver.ids) == (3, {receiver.got[0].id: 1})
    assert [one.status for one in await hooks.of(webhook)] == [DELIVERED]


async def test_one_that_cannot_be_written_takes_no_other_along(
    team: Team, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook, _ = await factories.webhook(team, receiver.url, CREATED)
    await hooks.happens(team, 3)
    poison, written = (await hooks.of(webhook))[1].id, settling.settle

    async def chokes(session: Any, tried: Any) -> None:
        if any(one.parcel.id == poison for one in tried):
            raise LookupError
        await written(session, tried)

    monkeypatch.setattr(settling, "settle", chokes)
    with suppress(LookupError):  # when it ends by itself, alone, it is what a crash is
        await hooks.delivered()
    with suppress(LookupError):
        await hooks.delivered()
    assert [one.status for one in await hooks.of(webhook)] == [DELIVERED, PENDING, DELIVERED]


async def test_a_deleted_webhook_is_sent_nothing_more(team: Team, receiver: Receiver) -> None:
    webhook, _ = await factories.webhook(team, receiver.url, CREATED)
    await hooks.happens(team)
    async with transaction() as session:
        await control.delete(session, factories.principal(team), webhook.id)
    await hooks.happens(team)
    await hooks.delivered()
    assert receiver.got == []
    assert len(await hooks.of(webhook)) == 1
    row = await hooks.read(webhook)
    assert (row.secret, row.headers) == (None, None)


async def test_the_clock_knows_whether_anything_may_be_sent(team: Team, receiver: Receiver) -> None:
    async def waiting() -> bool:
        async with transaction() as session:
            return await claiming.waiting(session)

    webhook, _ = await factories.webhook(team, receiver.url, CREATED)
    assert not await waiting()
    await hooks.happens(team)
    assert await waiting()
    await hooks.put(webhook, paused_until=now() + timedelta(minutes=1))
    assert not await waiting()
    await hooks.put(webhook, paused_until=None)
    async with transaction() as session:
        await session.execute(
            sa.update(WebhookDelivery)
            .where(WebhookDelivery.webhook_id == webhook.id)
            .values(due_at=now() + timedelta(minutes=1))
        )
    assert not await waiting()
