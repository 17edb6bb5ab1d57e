"""How fast a client may send over one websocket."""

from time import monotonic


class Pace:
    """A token bucket of one websocket.

    Args:
        per_second: messages that may come in the long run.
        burst: messages that may come at once.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._left = float(burst)
        self._at = monotonic()

    def take(self) -> bool:
        """Whether one more message may come now."""
        at = monotonic()
        self._left = min(self._burst, self._left + (at - self._at) * self._per_second)
        self._at = at
        if self._left < 1:
            return False
        self._left -= 1
        return True
