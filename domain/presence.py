"""Who of a team is there: has a websocket open that a session of theirs has proven. (Devices: see `core.presence`.)

It is a hint: who is said to be there may have left within the last half minute, and with Redis away nobody is.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from uuid import UUID

from core.lifetimes import Lifetime
from core.redis_client import RedisAway
from core.rosters import Entry, Roster
from domain.permissions import Permission
from domain.principals import Principal

LASTS_SECONDS = 30.0
_roster = Roster("present", lambda: LASTS_SECONDS)


async def arrive(principal: Principal, by: Lifetime) -> None:
    """Note that a person of the team is there, until the end of `by`. Of others nothing is noted."""
    if principal.user_id is None or Permission.VIEW_TEAM not in principal.permissions or by.ended:
        return
    entry = (principal.actor, by.id, str(principal.user_id))
    await by.keep("presence", partial(_roster.let_go, principal.app_id, entry))
    await _roster.hold(principal.app_id, entry)


async def online(app_id: UUID) -> set[UUID]:
    """The people of an app's team who are there now."""
    return _people(await _roster.here(app_id))


async def known(app_id: UUID) -> set[UUID] | None:
    """The same, or None when nobody knows: then nobody must lose anything by it."""
    try:
        return _people(frozenset(await _roster.read(app_id)))
    except RedisAway:
        return None


async def follow(app_id: UUID) -> AsyncGenerator[list[UUID], None]:
    """The people of an app's team who are there now, and again whenever one has come or gone."""
    told: list[UUID] | None = None
    async with aclosing(_roster.follow(app_id)) as lists:
        async for entries in lists:
            if (people := sorted(_people(entries))) != told:
                yield (told := people)


def _people(entries: frozenset[Entry]) -> set[UUID]:
    return {UUID(id_) for _, _, id_ in entries}
