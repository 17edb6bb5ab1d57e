"""`replyhq clock`."""

import os

from core.guard import require_safe
from server.commands import clock_command
from server.environment import load_environment


def clock() -> None:
    """Run the clock, which wakes what is due, until SIGINT or SIGTERM. Any number may run."""
    load_environment()
    require_safe()
    command = clock_command()
    os.execv(command[0], command)  # noqa: S606
