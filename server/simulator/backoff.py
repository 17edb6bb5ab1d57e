"""Waiting before another try."""

import asyncio
import random

FIRST_SECONDS, LONGEST_SECONDS = 0.25, 10.0


class Backoff:
    """Pauses that double from try to try, up to 10 s, each drawn around its length so that not all try at once."""

    def __init__(self) -> None:
        self._next = FIRST_SECONDS

    def reset(self) -> None:
        """It went well: the next pause is a short one."""
        self._next = FIRST_SECONDS

    async def wait(self) -> None:
        """Pause."""
        await asyncio.sleep(self._next * random.uniform(0.5, 1.5))  # noqa: S311
        self._next = min(2 * self._next, LONGEST_SECONDS)
