"""PostgreSQL lost, full or too slow: whatever it looks like to the driver, it is one error, Unavailable."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from asyncpg import PostgresError
from sqlalchemy import exc

from core.errors import Unavailable

log = structlog.get_logger(__name__)
# Classes of SQLSTATE: connection lost; out of connections, disk or memory; stopped by the operator or a time limit.
CLASSES = ("08", "53", "57")
LOCK_TIMEOUT, DEADLOCK = "55P03", "40P01"
"""Too much at once: done again, it works."""
MESSAGE = "The database cannot be reached or is too busy at present. Try again in a moment."


@contextmanager
def told() -> Iterator[None]:
    """Turn an outage of PostgreSQL into Unavailable; every other failure passes as it is.

    Raises:
        Unavailable: the work was not done, or nobody knows whether it was: the commit's answer got lost.
    """
    try:
        yield
    except Exception as error:
        if not is_outage(error):
            raise
        log.warning("database away", error=type(error).__name__, sqlstate=_state(error))
        raise Unavailable(MESSAGE) from error


def is_outage(error: Exception) -> bool:
    """Whether the server, and not what it was asked, is to blame."""
    if isinstance(error, exc.TimeoutError):
        return True
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return True
    state = _state(error)
    return state in {LOCK_TIMEOUT, DEADLOCK} or state.startswith(CLASSES) or _is_unreachable(error)


def _state(error: Exception) -> str:
    """The SQLSTATE; empty when the server did not say one."""
    source = error.orig if isinstance(error, exc.DBAPIError) else error
    return str(getattr(source, "sqlstate", "") or "") if isinstance(error, exc.DBAPIError | PostgresError) else ""


def _is_unreachable(error: Exception) -> bool:
    """A failure to connect. Missing files and the like are an OSError too, but a bug of ours."""
    return type(error) is OSError or isinstance(error, ConnectionError | TimeoutError | socket.gaierror)
