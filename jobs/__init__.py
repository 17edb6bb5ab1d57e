"""Floor 3: the worker tower. `python -m dramatiq jobs` runs the actors; `python -m jobs.clock` wakes what is due."""

from core.broker import broker
from core.logging import configure_logging
from jobs.booting import Booting
from jobs.stopping import Stopping

configure_logging()
broker().add_middleware(Booting())
broker().add_middleware(Stopping())

# the broker must be set before actors are declared
from jobs import assignment, broadcasts, entries, facts, mails, webhooks, workflows  # noqa: E402

__all__ = ["assignment", "broadcasts", "entries", "facts", "mails", "webhooks", "workflows"]
