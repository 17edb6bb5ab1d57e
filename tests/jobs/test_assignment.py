"""Queues without a worker: the clock alone drains them, in any number of copies, app by app."""

import asyncio
from uuid import UUID

import pytest

from core.database import transaction
from core.lifetimes import Lifetime
from domain import presence
from domain.conversations.assignment import queueing, settings
from jobs import clock
from models.assignment import AssignmentMode
from tests.support import factories, inbox
from tests.support.factories import Team
from tests.support.waiting import until


async def waits(team: Team) -> None:
    """Two conversations in an app that assigns by itself; nobody is there."""
    async with transaction() as session:
        changes = settings.AssignmentSettings(assignment_mode=AssignmentMode.BALANCED)
        await settings.update(session, factories.principal(team), changes)
    for _ in range(2):
        await (await inbox.line(team)).says()


async def test_two_clocks_drain_all_queues_page_by_page_though_one_app_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "APPS_AT_ONCE", 2)
    teams, lifetime, tend = [await factories.team() for _ in range(3)], Lifetime(), queueing.tend
    broken, tried = teams[0], set[UUID]()
    for team in teams:
        await waits(team)
        await presence.arrive(factories.principal(team), lifetime)

    async def tends(app_id: UUID) -> None:
        tried.add(app_id)
        if app_id == broken.app_id:
            raise RuntimeError("broken")
        await tend(app_id)

    async def look() -> list[UUID | None]:
        await asyncio.gather(clock.tend_queues(), clock.tend_queues())
        return [row.assignee_id for team in teams for row in await inbox.conversations(team)]

    monkeypatch.setattr(queueing, "tend", tends)
    given = [one for team in teams for one in [None if team is broken else team.user_id] * 2]
    assert await until(look, lambda seen: seen == given and broken.app_id in tried) == given
    await lifetime.end()
