"""Waiting for a condition, with a bound."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(look: Callable[[], Awaitable[T]], holds: Callable[[T], bool] = bool, seconds: float = 20) -> T:
    """Look until what is seen holds; fail with the last sight when it does not within `seconds`."""
    end = time.monotonic() + seconds
    while True:
        seen = await look()
        if holds(seen):
            return seen
        assert time.monotonic() < end, f"not within {seconds} s; last seen: {seen!r}"
        await asyncio.sleep(0.02)
