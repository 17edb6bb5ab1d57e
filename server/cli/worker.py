"""`replyhq worker`."""

import os
from typing import Annotated

import typer

from core.guard import require_safe
from server.commands import Queue, worker_command, worker_environment
from server.environment import load_environment


def worker(
    processes: Annotated[int, typer.Option(min=1, help="Worker processes to run.")] = 1,
    queues: Annotated[
        list[Queue] | None, typer.Option("--queue", help="A queue to serve; all of them unless given. May be repeated.")
    ] = None,
) -> None:
    """Run Dramatiq workers, REPLYHQ_WORKER_THREADS threads each, until SIGINT or SIGTERM.

    `default` holds what should be quick, `sending` what goes to many: run workers for each, so that neither waits for
    the other.
    """
    load_environment()
    require_safe()
    command = worker_command(processes, queues or list(Queue))
    os.execve(command[0], command, dict(os.environ) | worker_environment())  # noqa: S606
