"""`replyhq migrate`."""

from typing import Annotated

import typer

from server import migrate as migrations
from server.environment import load_environment


def migrate(
    *,
    down: Annotated[bool, typer.Option("--down", help="Go back, by one step unless --to says where.")] = False,
    to: Annotated[str | None, typer.Option(help="The revision to go to; `base` is before the first.")] = None,
) -> None:
    """Bring the database to the newest revision, or to another one."""
    load_environment()
    if down:
        migrations.downgrade(to or "-1")
    else:
        migrations.upgrade(to or "head")
