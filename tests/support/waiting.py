"""Waiting for a condition, with a bound."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import sqlalchemy as sa

from core.database import transaction

T = TypeVar("T")
# Seconds between looks: at first, and at last.
_PAUSES = 0.02, 0.1
# pg_stat_activity alone hides from the roles of the product what those of a login wait for.
_WAITING = sa.text(
    "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE NOT granted AND datname = current_database())"
)


async def until(look: Callable[[], Awaitable[T]], holds: Callable[[T], bool] = bool, seconds: float = 60) -> T:
    """Look until what is seen holds; fail with the last sight when it does not within `seconds`.

    The longer it takes, the rarer the looks: what is waited for has the processor then.
    """
    end = time.monotonic() + seconds
    pause, longest = _PAUSES
    while True:
        seen = await look()
        if holds(seen):
            return seen
        assert time.monotonic() < end, f"not within {seconds} s; last seen: {seen!r}"
        await asyncio.sleep(pause)
        pause = min(longest, pause * 1.2)


async def waits_for_a_lock() -> bool:
    """Whether a transaction of this database waits for a row that another has."""
    async with transaction() as session:
        return bool(await session.scalar(_WAITING))
