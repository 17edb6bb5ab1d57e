"""Whose rows the work at hand may reach. PostgreSQL holds it to that, whatever a statement forgets to say.

It is a second wall: the first is the `app_id` in the WHERE of every statement. See docs/decisions/0007.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

TENANT, SERVICE = "replyhq_tenant", "replyhq_service"
# What a transaction begins with. The migrations make the roles and say what each reaches (migrations/walls.py).
_ACROSS_APPS = f"SET LOCAL ROLE {SERVICE};"
_entrance: ContextVar[str] = ContextVar("entrance", default=_ACROSS_APPS)


class MissingRights(RuntimeError):
    """The database login may not act as the two roles that the product works with; says the way out."""


@contextmanager
def bound_to(app_id: UUID | None) -> Iterator[None]:
    """Hold the transactions of this task, and of those it starts, to the rows of one app; None: to none at all.

    Each GraphQL operation is bound to the app of its principal. Work that nobody bound, such as jobs and commands,
    reaches all apps, and so does `transaction(across_apps=True)`.
    """
    own = app_id.hex if app_id else ""
    before = _entrance.set(f"SET LOCAL ROLE {TENANT}; SET LOCAL replyhq.app_id = '{own}';")
    try:
        yield
    finally:
        _entrance.reset(before)


def entrance(*, across_apps: bool) -> str:
    """The SQL that a transaction begins with: it gives up the rights of the login for those of one of the roles."""
    return _ACROSS_APPS if across_apps else _entrance.get()
