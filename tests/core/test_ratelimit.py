import asyncio
from time import monotonic

import pytest

from core import ratelimit, redis_client
from core.config import config
from core.ratelimit import Limit, LocalLimiter, allow, spend
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
async def anywhere(request, away):
    """Both limiters keep the same promises."""
    if request.param == "shared":
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
    assert [await spend(address, account) for _ in range(2)] == [0.0, 0.0]
    for _ in range(20):
        assert 1700 < await spend(address, account) <= 1800
    assert [await spend(address) for _ in range(8)] == [0.0] * 8
    assert await spend(address) > 0


async def test_one_key_may_carry_two_rates(anywhere):
    often, seldom = Limit("key", 5, 60), Limit("key", 8, 3600)
    waits = [await spend(often, seldom) for _ in range(6)]
    assert waits.count(0.0) == 5
    assert [await spend(seldom) for _ in range(3)] == [0.0] * 3
    assert await spend(seldom) > 0


async def test_a_spend_may_cost_more_than_one(anywhere):
    batch = Limit("provider:1", 100, 3600, cost=40)
    assert [await spend(batch) == 0.0 for _ in range(3)] == [True, True, False]
    assert await spend(Limit("provider:1", 100, 3600, cost=20)) == 0.0


async def test_keys_do_not_mix(anywhere):
    assert await allow("sign-in:1", 1, 3600) == 0.0
    assert await allow("sign-in:2", 1, 3600) == 0.0


async def test_no_limit_always_passes(away):
    assert await spend() == 0.0


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
    assert waits.count(0.0) == 3
    valkey.thaw()


async def test_the_shared_limit_is_back_with_the_server(valkey):
    assert await allow("sign-in:1", 1, 3600) == 0.0
    valkey.stop()
    assert await allow("sign-in:1", 1, 3600) == 0.0
    assert await allow("sign-in:1", 1, 3600) > 0
    await valkey.start()
    assert await allow("sign-in:1", 1, 3600) == 0.0


def test_the_local_limiter_is_bounded():
    limiter = LocalLimiter(capacity=100)
    for number in range(1000):
        assert limiter.spend((Limit(f"address:{number}", 1, 3600),)) == 0
    assert len(limiter) == 100
    assert limiter.spend((Limit("address:999", 1, 3600),)) > 0


@pytest.mark.parametrize(
    "numbers", [{"limit": 0}, {"per_seconds": 0}, {"burst": 0}, {"cost": 0}, {"cost": 3}, {"cost": 2, "burst": 1}]
)
def test_limits_that_let_nothing_pass_are_refused(numbers):
    with pytest.raises(ValueError, match="never"):
        Limit(**{"key": "a", "limit": 2, "per_seconds": 1.0} | numbers)
