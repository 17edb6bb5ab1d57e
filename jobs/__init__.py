"""Floor 3: the worker tower. `python -m dramatiq jobs` runs the actors; `python -m jobs.clock` wakes what is due."""

from core.broker import broker
from core.logging import configure_logging

configure_logging()
broker()

from jobs import broadcasts, facts  # noqa: E402  the broker must be set before actors are declared

__all__ = ["broadcasts", "facts"]
