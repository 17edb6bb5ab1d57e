"""What goes to the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from core.database import engine


@contextmanager
def recorded() -> Iterator[list[str]]:
    """The statements that this process sends meanwhile."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    sa.event.listen(engine().sync_engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(engine().sync_engine, "before_cursor_execute", note)
