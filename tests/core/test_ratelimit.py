import asyncio
from time import monotonic

import pytest

from core import ratelimit, redis_client
from core.config import config
from core.ratelimit import Limit, LocalLimiter, Spent, allow, spend
from tests.core.valkey_server import configured


@pytest.fixture
async def away(monkeypatch):
    monkeypatch.setattr(ratelimit, "_local", LocalLimiter())
    async with configured(monkeypatch) as server:
        yield server


@pytest.fixture
async def valkey(away):
    await away.start()
    return away


@pytest.fixture(params=["shared", "local"])
async def anywhere(request, away, monkeypatch):
    """Both limiters keep the same promises."""
    if request.param == "shared":
        monkeypatch.setattr(ratelimit, "REACH_SECONDS", 30.0)  # who is late would be counted by this process alone
        await away.start()


async def test_exactly_the_limit_of_many_at_once_passes(anywhere):
    waits = await asyncio.gather(*(allow("sign-in:1", 100, 3600) for _ in range(240)))
    assert waits.count(0.0) == 100
    assert all(0 < wait <= 36 for wait in waits if wait)


async def test_processes_share_a_limit(valkey):
    async def other_process():
        waits = [await allow("sign-in:1", 10, 3600) for _ in range(8)]
        await redis_client.close()
        return waits

    there = await asyncio.to_thread(asyncio.run, other_process())
    here = [await allow("sign-in:1", 10, 3600) for _ in range(8)]
    assert there.count(0.0) == 8
    assert here.count(0.0) == 2


async def test_what_was_spent_is_paid_back_evenly(anywhere):
    started_at = monotonic()
    passed = 0
    while passed < 9:
        wait = await allow("sign-in:1", 5, 0.5)
        assert wait <= 0.1
        passed += wait == 0.0
        await asyncio.sleep(wait)
    assert 0.39 <= monotonic() - started_at < 5


async def test_waiting_as_told_is_enough(anywhere):
    assert await allow("sign-in:1", 1, 0.2) == 0.0
    wait = await allow("sign-in:1", 1, 0.2)
    assert 0 < wait <= 0.2
    await asyncio.sleep(wait + 0.002)
    assert await allow("sign-in:1", 1, 0.2) == 0.0


async def test_burst_is_what_passes_at_once(anywhere):
    waits = [await allow("sign-in:1", 3600, 3600, burst=4) for _ in range(6)]
    assert [wait == 0.0 for wait in waits] == [True] * 4 + [False] * 2
    assert 0 < waits[-1] <= 1


async def test_several_limits_spend_all_or_nothing(anywhere):
    address, account = Limit("address:1", 10, 3600), Limit("account:1", 2, 3600)
    assert [(await spend(address, account)).wait for _ in range(2)] == [0.0, 0.0]
    for _ in range(20):
        assert 1700 < (await spend(address, account)).wait <= 1800
    assert [(await spend(address)).wait for _ in range(8)] == [0.0] * 8
    assert (await spend(address)).wait > 0


async def test_one_key_may_carry_two_rates(anywhere):
    often, seldom = Limit("key", 5, 60), Limit("key", 8, 3600)
    waits = [(await spend(often, seldom)).wait for _ in range(6)]
    assert waits.count(0.0) == 5
    assert [(await spend(seldom)).wait for _ in range(3)] == [0.0] * 3
    assert (await spend(seldom)).wait > 0


async def test_a_spend_may_cost_more_than_one(anywhere):
    batch = Limit("provider:1", 100, 3600, cost=40)
    assert [(await spend(batch)).wait == 0.0 for _ in range(3)] == [True, True, False]
    assert (await spend(Limit("provider:1", 100, 3600, cost=20))).wait == 0.0


async def test_keys_do_not_mix(anywhere):
    assert await allow("sign-in:1", 1, 3600) == 0.0
    assert await allow("sign-in:2", 1, 3600) == 0.0


async def test_no_limit_always_passes(away):
    assert await spend() == Spent()


async def test_redis_forgets_what_is_paid_back(valkey):
    await allow("sign-in:1", 1, 30)
    (key,) = await valkey.command("KEYS", "*")
    assert key.startswith(config().namespace.encode())
    assert 29_000 < await valkey.command("PTTL", key.decode()) <= 30_001


async def test_a_server_clock_set_back_locks_nobody_out(valkey):
    await allow("sign-in:1", 2, 10)
    (key,) = await valkey.command("KEYS", "*")
    await valkey.command("SET", key.decode(), "9000000000000000")
    assert 4 < await allow("sign-in:1", 2, 10) <= 5


async def test_away_and_open_lets_pass(away):
    assert [await allow("read:1", 1, 3600, fallback="open") for _ in range(5)] == [0.0] * 5


async def test_a_frozen_server_costs_one_wait_and_not_one_each(valkey):
    await allow("sign-in:1", 3, 3600)
    valkey.freeze()
    started_at = monotonic()
    waits = [await allow("sign-in:1", 3, 3600) for _ in range(10)]
    assert monotonic() - started_at < 3
    assert waits.count(0.0) == 2, "what was spent before counts on"
    valkey.thaw()


async def test_the_shared_limit_is_back_with_the_server(valkey):
    assert await allow("sign-in:1", 2, 3600) == 0.0
    valkey.stop()
    assert await allow("sign-in:1", 2, 3600) == 0.0
    assert await allow("sign-in:1", 2, 3600) > 0
    await valkey.start()
    assert await allow("sign-in:1", 2, 3600) == 0.0


def test_what_is_told_of_elsewhere_takes_no_local_spend_back():
    limiter, limit = LocalLimiter(), Limit("key", 3, 3600)
    for _ in range(2):
        assert limiter.spend((limit,))[0] == 0
    limiter.note((limit,), [0, limit.cost_micros])
    assert limiter.spend((limit,))[0] == 0
    limiter.note((limit,), [0, 0])
    assert limiter.spend((limit,))[0] > 0


def test_the_local_limiter_is_bounded():
    limiter = LocalLimiter(capacity=100)
    for number in range(1000):
        assert limiter.spend((Limit(f"address:{number}", 1, 3600),))[0] == 0
    assert len(limiter) == 100
    assert limiter.spend((Limit("address:999", 1, 3600),))[0] > 0


@pytest.mark.parametrize(
    "numbers", [{"limit": 0}, {"per_seconds": 0}, {"burst": 0}, {"cost": 0}, {"cost": 3}, {"cost": 2, "burst": 1}]
)
def test_limits_that_let_nothing_pass_are_refused(numbers):
    with pytest.raises(ValueError, match="never"):
        Limit(**{"key": "a", "limit": 2, "per_seconds": 1.0} | numbers)


async def test_a_spend_says_what_is_left_and_when_there_is_more(anywhere):
    limit = Limit("user:1", 3, 3600, policy="user")
    seen = [(await spend(limit)).left[0] for _ in range(4)]
    assert [left.units for left in seen] == [2, 1, 0, 0]
    assert all(1190 < left.seconds <= 1200 for left in seen)
    assert seen[0].limit is limit


async def test_a_refusal_says_of_each_limit_what_is_left(anywhere):
    address, account = Limit("address:1", 10, 3600), Limit("account:1", 2, 3600)
    spent = [await spend(address, account) for _ in range(3)][-1]
    assert [left.units for left in spent.left] == [8, 0]
    assert spent.wait == pytest.approx(spent.left[1].seconds)


async def test_what_cannot_pay_a_cost_may_have_units_left(anywhere):
    await spend(Limit("provider:1", 100, 3600, cost=90))
    spent = await spend(Limit("provider:1", 100, 3600, cost=40))
    assert spent.wait > 0
    assert spent.left[0].units == 10


async def test_what_is_paid_back_whole_is_all_there(anywhere):
    await spend(Limit("user:1", 1, 0.05))
    await asyncio.sleep(0.06)
    spent = await spend(Limit("user:1", 1, 0.05))
    assert (spent.wait, spent.left[0].units) == (0.0, 0)


async def test_a_limit_of_many_threads_and_loops_is_exact(valkey, monkeypatch):
    monkeypatch.setattr(ratelimit, "REACH_SECONDS", 30.0)  # who is late would be counted by this process alone

    async def thread():
        waits = await asyncio.gather(*(allow("sign-in:1", 50, 3600) for _ in range(20)))
        await redis_client.close()
        return waits

    found = await asyncio.gather(*(asyncio.to_thread(asyncio.run, thread()) for _ in range(8)))
    assert [wait for waits in found for wait in waits].count(0.0) == 50


async def test_away_and_open_alarms_each_time_in_the_metrics_and_once_a_minute_in_the_log(away, monkeypatch):
    told = []
    monkeypatch.setattr(ratelimit, "_alarm", ratelimit._Alarm())
    monkeypatch.setattr(ratelimit.log, "error", told.append)
    before = ratelimit.UNCOUNTED._value.get()
    assert [await spend(Limit("read:1", 1, 3600), fallback="open") for _ in range(5)] == [Spent()] * 5
    assert ratelimit.UNCOUNTED._value.get() - before == 5
    assert len(told) == 1


@pytest.mark.parametrize(
    ("ip", "of"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_a_household_is_one_neighbourhood(ip, of):
    assert ratelimit.neighbourhood(ip) == of
