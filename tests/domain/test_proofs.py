"""Proofs are remembered for a second, and forgotten at once when rights may have changed."""

import asyncio
from datetime import timedelta

import pytest
import time_machine

from core.clock import now
from core.database import transaction
from core.ids import new_id
from core.pubsub import Tick, hub, publish
from domain import proofs
from domain.principals import Principal
from domain.proofs import FRESH, Proofs
from tests.support.waiting import until


class Door:
    """Proves everybody, counts how often, and waits when it is told to."""

    def __init__(self, lifetime: timedelta = timedelta(hours=1)) -> None:
        self.asked: list[str] = []
        self.lifetime = lifetime
        self.reached, self.open = asyncio.Event(), asyncio.Event()
        self.open.set()

    async def prove(self, token: str) -> Principal:
        self.asked.append(token)
        self.reached.set()
        found = Principal(app_id=new_id(), permissions=frozenset(), expires_at=now() + self.lifetime)
        await self.open.wait()
        return found


async def test_a_token_is_proven_once_a_second() -> None:
    door, memory = Door(), Proofs()
    with time_machine.travel(now(), tick=False) as clock:
        first = await memory.holder("one", door.prove)
        assert await memory.holder("one", door.prove) is first
        assert await memory.holder("two", door.prove) is not first
        clock.shift(FRESH)
        assert await memory.holder("one", door.prove) is not first
    assert door.asked == ["one", "two", "one"]


async def test_a_proof_does_not_outlive_its_token() -> None:
    door, memory = Door(lifetime=timedelta(milliseconds=500)), Proofs()
    with time_machine.travel(now(), tick=False) as clock:
        await memory.holder("one", door.prove)
        clock.shift(timedelta(milliseconds=500))
        await memory.holder("one", door.prove)
    assert door.asked == ["one", "one"]


async def test_what_was_asked_before_rights_changed_is_not_kept() -> None:
    door, memory = Door(), Proofs()
    door.open.clear()
    asking = asyncio.create_task(memory.holder("one", door.prove))
    await door.reached.wait()
    memory.forget()
    door.open.set()
    await asking
    await memory.holder("one", door.prove)
    assert door.asked == ["one", "one"]


async def test_the_longest_known_goes_when_it_is_full() -> None:
    door, memory = Door(), Proofs(most=2)
    for token in ("one", "two", "three", "three", "two", "one"):
        await memory.holder(token, door.prove)
    assert door.asked == ["one", "two", "three", "one"]


async def test_outdated_forgets_once_the_change_is_committed(database: None) -> None:
    door = Door()
    proofs.remembered.forget()
    first = await proofs.remembered.holder("one", door.prove)
    async with transaction() as session:
        proofs.outdated(session)
        assert await proofs.remembered.holder("one", door.prove) is first
    assert await proofs.remembered.holder("one", door.prove) is not first


async def test_what_another_process_says_is_heard(database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "FRESH", timedelta(hours=1))
    door, heard = Door(), asyncio.Event()
    keeping = asyncio.create_task(proofs.keep_true(heard.set))
    first = await proofs.remembered.holder("one", door.prove)

    async def told() -> Principal:
        await publish([Tick(proofs.TOPIC)])
        return await proofs.remembered.holder("one", door.prove)

    await until(told, lambda found: found is not first)
    assert heard.is_set()
    await hub().disconnect()
    await asyncio.wait_for(keeping, 5)
