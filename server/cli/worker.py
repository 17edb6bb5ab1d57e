"""`replyhq worker`."""

import os
from typing import Annotated

import typer

from server.commands import worker_command, worker_environment
from server.environment import load_environment


def worker(processes: Annotated[int, typer.Option(min=1, help="Worker processes to run.")] = 1) -> None:
    """Run Dramatiq workers, REPLYHQ_WORKER_THREADS threads each, until SIGINT or SIGTERM."""
    load_environment()
    command = worker_command(processes)
    os.execve(command[0], command, dict(os.environ) | worker_environment())  # noqa: S606
