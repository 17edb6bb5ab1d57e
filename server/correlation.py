"""One id for everything that one request or one operation leaves in the logs and in its answer."""

import re

from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from core.ids import new_id

HEADER = "x-request-id"
_SANE = re.compile(r"[A-Za-z0-9_.-]{8,64}")


def begin(proposed: str | None = None) -> str:
    """Start a new id, or take over the one a proxy proposes when it is 8 to 64 harmless characters."""
    made = proposed if proposed and _SANE.fullmatch(proposed) else str(new_id())
    clear_contextvars()
    bind_contextvars(correlation_id=made)
    return made


def current() -> str:
    """The id of the request or operation that is running; a new one outside of any."""
    known: str | None = get_contextvars().get("correlation_id")
    return known or begin()
