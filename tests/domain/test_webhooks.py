"""What webhooks are told is written with what happened, as it was then."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from core.clock import now
from core.database import transaction
from core.errors import NotFound
from core.ids import new_id
from domain import bulk, contacts, events
from domain.contacts import ContactFields
from domain.events import EventFields
from domain.messages import changing
from domain.webhooks import claiming, control, deliveries, pace, settling, signing
from domain.webhooks.claiming import Parcel
from domain.webhooks.control import WebhookFields
from domain.webhooks.settling import Tried
from models.webhooks import DeliveryFailure, Webhook, WebhookDelivery, WebhookEvent, WebhookEventType
from tests.support import factories, hooks, inbox
from tests.support.factories import Team
from tests.support.plans import explained
from tests.support.statements import recorded

E = WebhookEventType


async def told(webhook: Webhook) -> list[dict[str, Any]]:
    """What is to be sent, oldest first."""
    async with transaction() as session:
        of = sa.select(WebhookEvent.body).join(WebhookDelivery, WebhookDelivery.event_id == WebhookEvent.id)
        rows = of.where(WebhookDelivery.webhook_id == webhook.id).order_by(WebhookEvent.sequence)
        return [json.loads(body) for body in await session.scalars(rows)]


async def test_it_says_what_was_true_then(team: Team) -> None:
    webhook, _ = await factories.webhook(team)
    (row,) = await hooks.happens(team, name="Ada", plan="free")
    async with transaction() as session:
        await contacts.update(session, factories.principal(team), row.id, ContactFields(name="Bob", plan="pro"))
    async with transaction() as session:
        await contacts.delete(session, factories.principal(team), row.id)
    created, updated, deleted = await told(webhook)
    assert [one["type"] for one in (created, updated, deleted)] == [
        "contact.created",
        "contact.updated",
        "contact.deleted",
    ]
    assert (created["data"]["contact"]["name"], created["data"]["contact"]["plan"]) == ("Ada", "free")
    assert (updated["data"]["contact"]["name"], updated["data"]["contact"]["plan"]) == ("Bob", "pro")
    assert deleted["data"] == {"contact": {"id": str(row.id), "externalId": None}}
    assert created["actor"] == f"user:{team.user_id}"
    assert created["appId"] == str(team.app_id)
    assert created["sequence"] < updated["sequence"] < deleted["sequence"]


async def test_only_who_asked_for_it_is_told_and_nobody_of_another_app(team: Team) -> None:
    asked, _ = await factories.webhook(team, factories.HOOKS_URL, E.CONTACT_CREATED)
    other, _ = await factories.webhook(team, factories.HOOKS_URL, E.CONTACT_DELETED)
    stranger, _ = await factories.webhook(await factories.team())
    both, _ = await factories.webhook(team, factories.HOOKS_URL, E.CONTACT_CREATED, E.CONTACT_DELETED)
    await hooks.happens(team)
    assert [len(await told(one)) for one in (asked, other, stranger, both)] == [1, 0, 0, 1]
    (first,), (second,) = await hooks.of(asked), await hooks.of(both)
    assert first.event_id == second.event_id


async def test_what_is_taken_back_is_not_told(team: Team) -> None:
    webhook, _ = await factories.webhook(team)

    async def undone() -> None:
        async with transaction() as session:
            await contacts.create(session, factories.principal(team), ContactFields(name="Ada"))
            raise LookupError

    with pytest.raises(LookupError):
        await undone()
    async with transaction() as session:
        async with session.begin_nested() as inner:
            await contacts.create(session, factories.principal(team), ContactFields(name="Bob"))
            await inner.rollback()
        await contacts.create(session, factories.principal(team), ContactFields(name="Cy"))
    assert [one["data"]["contact"]["name"] for one in await told(webhook)] == ["Cy"]


async def test_many_at_once_are_told_one_by_one(team: Team) -> None:
    webhook, _ = await factories.webhook(team)
    async with transaction() as session:
        ids = await bulk.add_contacts(session, team.app_id, [{"name": f"User {no}"} for no in range(250)])
    found = await told(webhook)
    assert [one["data"]["contact"]["id"] for one in found] == [str(id_) for id_ in ids]
    assert {one["actor"] for one in found} == {"system"}
    said = EventFields(name="order", contact_id=ids[0], user_id=None, properties={"n": 1}, occurred_at=None, key=None)
    async with transaction() as session:
        await events.track_all(session, factories.principal(team), [said | {"name": f"order {no}"} for no in range(3)])
    names = [one["data"]["event"]["name"] for one in await told(webhook) if one["type"] == "event.tracked"]
    assert sorted(names) == ["order 0", "order 1", "order 2"]


async def test_messages_come_with_their_text_until_they_are_deleted(team: Team) -> None:
    webhook, _ = await factories.webhook(team)
    line = await inbox.line(team)
    said = await line.says("Hello")
    answer = await line.answers(said.conversation_id, "Hi there")
    note = await line.notes(said.conversation_id, "Careful")
    async with transaction() as session:
        await changing.edit(session, line.agent, answer.id, "Hi, Ada")
    async with transaction() as session:
        await changing.delete(session, line.agent, answer.id)
    found = [one for one in await told(webhook) if one["type"].startswith("message.")]
    shown = [(one["type"], one["data"]["message"].get("body"), one["data"]["message"]["id"]) for one in found]
    assert shown == [
        ("message.created", "Hello", str(said.id)),
        ("message.created", "Hi there", str(answer.id)),
        ("message.created", "Careful", str(note.id)),
        ("message.updated", "Hi, Ada", str(answer.id)),
        ("message.deleted", None, str(answer.id)),
    ]
    assert {one["data"]["message"]["contactId"] for one in found} == {str(line.contact_id)}
    assert [one["data"]["message"].get("isNote") for one in found] == [False, False, True, False, None]


async def test_an_app_without_a_webhook_pays_one_statement_and_one_with_three_a_few(team: Team) -> None:
    async def cost() -> int:
        with recorded() as statements:
            await hooks.happens(team)
        return len(statements)

    nobody = await cost()
    for _ in range(3):
        await factories.webhook(team)
    assert await cost() == nobody + 2
    on = sa.and_(Webhook.disabled_reason.is_(None), Webhook.deleted_at.is_(None))
    assert "ix_webhooks_told" in await explained(sa.select(Webhook.id).where(Webhook.app_id == team.app_id, on))


def test_a_signature_is_that_of_the_published_example() -> None:
    """The vector of the specification's libraries."""
    at = datetime.fromtimestamp(1614265330, tz=now().tzinfo)
    made = signing.headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}', ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
    )
    assert made == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(tries=st.integers(1, 12), asked=st.none() | st.floats(0, 86_400))
def test_a_wait_is_as_long_as_the_schedule_and_the_receiver_say(tries: int, asked: float | None) -> None:
    found = pace.wait(tries, asked)
    if tries >= pace.TRIES:
        assert found is None
        return
    least = max(0.8 * pace.WAITS[tries - 1], timedelta(seconds=asked or 0))
    most = max(1.2 * pace.WAITS[tries - 1], timedelta(seconds=asked or 0))
    assert least <= found <= most


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 400), st.integers(1, 12)), max_size=60))
def test_the_breaker_against_a_model(rounds: list[tuple[bool, int, int]]) -> None:
    """It opens after five failures, counts one for each pause, never pauses longer than five minutes and a fifth."""
    row, at = Webhook(failures=0), now()
    for works, seconds, count in rounds:
        at += timedelta(seconds=seconds)
        before, paused = row.failures, row.paused_until
        if works:
            row.failures, row.failing_since, row.paused_until = 0, None, None
            continue
        settling._count(row, [_failed(at)] * count, at)
        if before < pace.OPENS_AFTER:
            assert row.failures == min(before + count, pace.OPENS_AFTER)
        else:
            assert row.failures == before + (paused is None or paused <= at)
        assert row.failing_since is not None
        is_open = row.failures >= pace.OPENS_AFTER
        assert (row.paused_until is not None and row.paused_until > at) == is_open
        if is_open:
            assert row.paused_until - at <= 1.2 * pace.PAUSE_LONGEST


def _failed(at: datetime) -> Tried:
    id_ = new_id()
    parcel = Parcel(id_, id_, id_, 1, 1, False, "msg_1", "https://x", b"", {}, [])
    return Tried(parcel, at, 1, 500, DeliveryFailure.REFUSED)


async def test_what_waits_for_many_endpoints_is_taken_in_turns(team: Team) -> None:
    await hooks.quiet()
    made = [(await factories.webhook(team, factories.HOOKS_URL, E.CONTACT_CREATED))[0] for _ in range(3)]
    await hooks.happens(team, 4)
    async with transaction() as session:
        parcels = await claiming.claim(session, 6)
        assert sorted(sum(one.webhook_id == webhook.id for one in parcels) for webhook in made) == [2, 2, 2]
        await session.rollback()


async def test_another_address_begins_anew(team: Team) -> None:
    webhook, _ = await factories.webhook(team)
    await hooks.put(
        webhook, failing_since=now() - timedelta(days=4), failures=40, paused_until=now() + timedelta(days=1)
    )
    asker = factories.principal(team)
    async with transaction() as session:
        await control.update(session, asker, webhook.id, WebhookFields(description="Same address"))
    assert (await hooks.read(webhook)).failures == 40
    async with transaction() as session:
        await control.update(session, asker, webhook.id, WebhookFields(url="https://example.com/other"))
    row = await hooks.read(webhook)
    assert (row.failures, row.failing_since, row.paused_until) == (0, None, None)


async def test_tests_are_not_replayed(team: Team) -> None:
    webhook, _ = await factories.webhook(team)
    row = await factories.webhook_delivery(team, webhook.id, is_test=True)
    async with transaction() as session:
        with pytest.raises(NotFound):
            await deliveries.replay(session, factories.principal(team), [row.id])


async def test_the_beginning_of_time_is_an_instant_too(team: Team) -> None:
    webhook, _ = await factories.webhook(team)
    since = datetime(1, 1, 1, tzinfo=UTC)
    async with transaction() as session:
        assert await deliveries.replay_failed(session, factories.principal(team), webhook.id, since) == 0
