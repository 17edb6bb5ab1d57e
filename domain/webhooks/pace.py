"""When a delivery is tried again, and how an endpoint that does not answer is spared."""

import random
from datetime import timedelta

TRIES = 8
WAITS = (
    *(timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30)),
    *(timedelta(hours=2), timedelta(hours=5), timedelta(hours=10), timedelta(hours=10)),
)
"""How long a delivery waits after each try that failed, a fifth more or less: about 27 hours in all."""
TRY = timedelta(seconds=10)
"""The longest a try takes, as the HTTP client has it."""
AT_ONCE = 10
"""Requests that one endpoint has at the same time, from all workers together."""
OPENS_AFTER = 5
"""Tries in a row that fail, and the breaker opens: from then on one at a time is tried, after a pause."""
PAUSE_FIRST = timedelta(seconds=5)
PAUSE_LONGEST = timedelta(minutes=5)
FAILING_MOST = timedelta(days=5)
"""An endpoint is stopped that has not taken anything for so long, though it was tried `FAILING_TRIES` times or more."""
FAILING_TRIES = 10


def wait(tries: int, asked: float | None) -> timedelta | None:
    """How long a delivery waits after so many tries, `asked` seconds at least; None when it is given up."""
    if tries >= TRIES:
        return None
    return max(_jittered(WAITS[tries - 1]), timedelta(seconds=asked or 0.0))


def pause(failures: int) -> timedelta | None:
    """How long nothing is tried after so many failures in a row; None while the breaker is closed."""
    if failures < OPENS_AFTER:
        return None
    return _jittered(min(PAUSE_FIRST * 2 ** min(failures - OPENS_AFTER, 16), PAUSE_LONGEST))


def _jittered(time: timedelta) -> timedelta:
    return time * random.uniform(0.8, 1.2)  # noqa: S311 - it spreads the load
