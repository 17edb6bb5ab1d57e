"""What counts whom: requests, broadcasts, tests of broadcasts."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from core.clock import now
from core.config import config
from core.database import transaction
from core.errors import Conflict, EmptyAudience, Invalid, RateLimited, Unavailable
from core.ids import new_id
from domain import rate_limits
from domain.broadcasts import starting, trial
from domain.principals import Principal
from models.apps import App
from models.audit import AuditEntry
from models.broadcasts import Broadcast, TargetType
from models.contacts import Contact
from tests.support import factories
from tests.support.factories import Team, principal

IP = "203.0.113.9"


async def limit(app_id: UUID, **numbers: int) -> None:
    """Give an app numbers before its first request."""
    async with transaction() as session:
        await session.execute(sa.update(App).where(App.id == app_id).values(rate_limits=numbers))


def key(team: Team) -> Principal:
    return replace(principal(team), user_id=None, api_key_id=new_id())


def device(team: Team) -> Principal:
    return replace(principal(team), user_id=None, device_id=new_id())


async def passed(asker: Principal | None, times: int, ip: str = IP) -> int:
    """How many of some requests pass."""
    return [(await rate_limits.spend_request(asker, ip)).wait for _ in range(times)].count(0.0)


async def policies(asker: Principal | None) -> list[str]:
    return [left.limit.policy for left in (await rate_limits.spend_request(asker, IP)).left]


async def test_each_spends_their_own_and_the_whole_of_their_kind(team: Team) -> None:
    assert await policies(None) == ["ip"]
    assert await policies(principal(team)) == ["user", "app"]
    assert await policies(key(team)) == ["key", "app"]
    assert await policies(device(team)) == ["device", "devices"]
    await limit((other := await factories.team()).app_id, address_per_minute=7)
    assert await policies(principal(other)) == ["user", "app", "address"]


async def test_nobody_is_limited_by_address_and_ipv6_by_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    few = config().model_copy(update={"rate_ip_per_minute": 3})
    monkeypatch.setattr(rate_limits, "config", lambda: few)
    prefix = f"2001:db8:{new_id().hex[-4:]}"
    assert await passed(None, 2, f"{prefix}:1::1") == 2
    assert await passed(None, 2, f"{prefix}:1::2") == 1
    assert await passed(None, 2, f"{prefix}:2::1") == 2


async def test_a_person_over_the_limit_stops_nobody_else(team: Team) -> None:
    await limit(team.app_id, user_per_minute=3, key_per_minute=4, device_per_minute=5)
    assert await passed(principal(team), 6) == 3
    assert await passed(principal(await factories.team(app_id=team.app_id)), 3) == 3
    assert await passed(key(team), 6) == 4
    assert await passed(device(team), 7) == 5
    assert await passed(principal(await factories.team()), 6) == 6


async def test_an_app_is_capped_and_its_devices_apart(team: Team) -> None:
    await limit(team.app_id, app_per_minute=3, all_devices_per_minute=2)
    assert await passed(device(team), 1) + await passed(device(team), 2) == 2
    assert await passed(principal(team), 2) + await passed(key(team), 2) == 3


async def test_an_app_may_limit_addresses(team: Team) -> None:
    await limit(team.app_id, address_per_minute=3)
    assert await passed(principal(team), 2) + await passed(key(team), 2) == 3
    assert await passed(principal(team), 2, "203.0.113.10") == 2


async def test_the_limits_of_an_app_are_read_once_and_anew_after_a_while(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    read = rate_limits._read

    async def counted(app_ids: list[UUID]) -> object:
        reads.extend(app_ids)
        return await read(app_ids)

    known = rate_limits._Known()
    monkeypatch.setattr(known._reads, "_work", counted)
    first = [await known.of(team.app_id) for _ in range(3)][-1]
    assert len(reads) == 1
    await limit(team.app_id, user_per_minute=3)
    assert await known.of(team.app_id) == first
    known._limits[team.app_id] = (0.0, first)
    assert (await known.of(team.app_id)).user_per_minute == rate_limits.RateLimit(3, is_default=False)


async def test_without_postgresql_what_was_known_holds(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_app_ids: list[UUID]) -> object:
        raise Unavailable("Try again.")

    await limit(team.app_id, user_per_minute=3)
    known = rate_limits._Known()
    first = await known.of(team.app_id)
    known._limits[team.app_id] = (0.0, first)
    monkeypatch.setattr(known._reads, "_work", away)
    assert await known.of(team.app_id) == first
    assert await known.of(new_id()) == rate_limits.effective({})


async def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "KNOWN_APPS", 3)
    known = rate_limits._Known()
    for _ in range(5):
        await known.of(new_id())
    assert len(known._limits) == 3


async def test_numbers_are_changed_put_back_and_audited(team: Team) -> None:
    await limit(team.app_id, key_per_minute=9)
    async with transaction() as session:
        app = await rate_limits.update(session, principal(team), {"user_per_minute": 5, "key_per_minute": None})
    assert app.rate_limits == {"user_per_minute": 5}
    found = rate_limits.effective(app.rate_limits)
    assert found.user_per_minute == rate_limits.RateLimit(5, is_default=False)
    assert found.key_per_minute == rate_limits.RateLimit(config().rate_key_per_minute, is_default=True)
    async with transaction() as session:
        entry = sa.select(AuditEntry).where(AuditEntry.app_id == team.app_id, AuditEntry.action == "app.updated")
        (entered,) = await session.scalars(entry)
    assert entered.before == {"rate_limits": {"key_per_minute": 9}}
    assert entered.after == {"rate_limits": {"user_per_minute": 5}}


@pytest.mark.parametrize(
    ("name", "number", "field"),
    [
        ("user_per_minute", 0, "userPerMinute"),
        ("user_per_minute", 100_001, "userPerMinute"),
        ("all_devices_per_minute", 10_000_001, "allDevicesPerMinute"),
        ("app_per_minute", 10_000_001, "appPerMinute"),
        ("broadcasts_per_hour", -1, "broadcastsPerHour"),
    ],
)
async def test_numbers_out_of_bounds_are_refused(team: Team, name: str, number: int, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        async with transaction() as session:
            await rate_limits.update(session, principal(team), {name: number})
    assert refused.value.field == field


def test_a_cap_of_the_server_that_came_down_holds_for_what_was_stored() -> None:
    found = rate_limits.effective({"app_per_minute": 2 * config().rate_app_per_minute})
    assert found.app_per_minute.value == config().rate_app_per_minute


async def send(asker: Principal, broadcast: Broadcast, key: str | None = None) -> None:
    async with transaction() as session:
        await starting.send(session, asker, broadcast.id, key)


async def schedule(asker: Principal, broadcast: Broadcast) -> None:
    async with transaction() as session:
        when = starting.Schedule(scheduled_at=now() + timedelta(hours=1), local_at=None, cron=None, time_zone="UTC")
        await starting.schedule(session, asker, broadcast.id, when)


async def drafts(team: Team, count: int) -> list[Broadcast]:
    return [await factories.broadcast(team) for _ in range(count)]


@pytest.fixture
async def sender(team: Team) -> Principal:
    """Somebody who may send two broadcasts and two tests an hour, to one contact."""
    await factories.contacts(team.app_id, 1)
    await limit(team.app_id, broadcasts_per_hour=2, test_broadcasts_per_hour=2)
    return principal(team)


async def test_one_broadcast_too_many_is_refused_and_stays_a_draft(sender: Principal, team: Team) -> None:
    first, second, third = await drafts(team, 3)
    await send(sender, first)
    await send(sender, second)
    with pytest.raises(RateLimited, match="At most 2 broadcasts an hour") as refused:
        await send(sender, third)
    assert 1790 < refused.value.retry_after <= 1800
    async with transaction() as session:
        assert (await session.get(Broadcast, third.id)).status == "DRAFT"


async def test_others_send_all_the_same(sender: Principal, team: Team) -> None:
    colleague = principal(await factories.team(app_id=team.app_id))
    for asker in (sender, colleague, key(team)):
        for draft in await drafts(team, 2):
            await send(asker, draft)


async def test_scheduling_counts_once_moving_and_sending_it_do_not(sender: Principal, team: Team) -> None:
    first, second, third = await drafts(team, 3)
    for _ in range(3):
        await schedule(sender, first)
    await send(sender, first)
    await schedule(sender, second)
    with pytest.raises(RateLimited):
        await schedule(sender, third)


async def test_what_is_refused_for_another_reason_counts_nothing(sender: Principal, team: Team) -> None:
    nobody = await factories.broadcast(team)
    async with transaction() as session:
        to_nobody = {"target_type": TargetType.SPECIFIC_USERS, "contact_ids": []}
        await session.execute(sa.update(Broadcast).where(Broadcast.id == nobody.id).values(to_nobody))
    first, second = await drafts(team, 2)
    for _ in range(3):
        with pytest.raises(EmptyAudience):
            await send(sender, nobody)
    await send(sender, first)
    for _ in range(3):
        with pytest.raises(Conflict):
            await send(sender, first)
    await send(sender, second)


async def test_a_repeated_request_counts_once_and_is_answered_at_the_limit(sender: Principal, team: Team) -> None:
    first, second = await drafts(team, 2)
    await send(sender, first, "one")
    await send(sender, second, "two")
    await send(sender, second, "two")
    await send(sender, first, "one")


async def test_tests_have_a_limit_of_their_own(sender: Principal, team: Team) -> None:
    first, second = await drafts(team, 2)
    async with transaction() as session:
        contacts = (await session.scalars(sa.select(Contact.id).where(Contact.app_id == team.app_id))).all()
    for key in ("one", "two", "two"):
        async with transaction() as session:
            assert await trial.send_test(session, sender, first.id, contacts, key) == 1
    with pytest.raises(RateLimited, match="At most 2 tests of broadcasts an hour"):
        async with transaction() as session:
            await trial.send_test(session, sender, first.id, contacts)
    await send(sender, first)
    await send(sender, second)


async def test_more_requests_at_once_than_a_limit_ever_lets_pass_take_what_it_has(team: Team) -> None:
    await limit(team.app_id, user_per_minute=5)
    asker = principal(team)
    assert (await rate_limits.spend_request(asker, IP)).wait == 0
    assert (await rate_limits.spend_request(asker, IP, 19)).wait == 0
    assert (await rate_limits.spend_request(asker, IP)).wait > 0
