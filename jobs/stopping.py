"""Whether this worker has been asked to end. It then has ten seconds for what it is doing (server/commands.py)."""

from threading import Event

from dramatiq import Broker, Middleware, Worker

_asked = Event()


class Stopping(Middleware):
    """Notes the request, which comes before any thread of the worker is stopped."""

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - as Dramatiq calls it
        """Note it."""
        _asked.set()


def asked() -> bool:
    """Whether nothing more should be begun."""
    return _asked.is_set()
