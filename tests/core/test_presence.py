"""Who is connected: said while somebody is there, however long, and taken back when the last connection goes."""

import asyncio
from time import monotonic

import pytest

from core import presence
from core.ids import new_id
from core.presence import online, present
from tests.core.valkey_server import configured


async def test_who_is_here_is_online_until_the_last_connection_goes(database: None) -> None:
    here, other = new_id(), new_id()
    async with present(here):
        async with present(here):
            assert await online([here, other]) == {here}
        assert await online([here, other]) == {here}
    assert await online([here]) == set()


async def test_who_stays_is_online_longer_than_it_is_said_at_once(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "LASTS_SECONDS", 1)
    monkeypatch.setattr(presence, "RENEW_SECONDS", 0.2)
    id_, end = new_id(), monotonic() + 2.0
    async with present(id_):
        while monotonic() < end:
            assert await online([id_]) == {id_}
            await asyncio.sleep(0.05)


async def test_with_redis_away_nobody_is_online_and_nobody_is_hindered(monkeypatch: pytest.MonkeyPatch) -> None:
    id_ = new_id()
    async with configured(monkeypatch), present(id_):
        assert await online([id_]) == set()
