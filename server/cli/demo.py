"""`replyhq demo`."""

from typing import Annotated

import typer
from rich.console import Console

from core.config import config
from server import demo as whole
from server.steps import Steps

ERASE = "Remove the demo's data and secrets instead of starting it."


def demo(*, erase: Annotated[bool, typer.Option("--erase", help=ERASE)] = False) -> None:
    """Run everything on this machine, with demo data, until Ctrl-C: needs nothing but this package.

    DATABASE_URL and REDIS_URL, when both are set, replace the PostgreSQL and the Valkey that it would start.
    """
    steps = Steps(Console())
    if erase:
        whole.erase(config().state_dir)
        steps.tell(f"Removed {config().state_dir}.")
    else:
        whole.run(steps)
