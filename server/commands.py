"""The processes of ReplyHQ as command lines: the API never imports `jobs`, it starts workers and clock."""

import sys
from collections.abc import Sequence
from enum import StrEnum

from core.config import config

WORKER_POLL_MS = 50
WORKER_STOP_SECONDS = 10


class Queue(StrEnum):
    """What should be quick, and sending in bulk. Workers kept for the first are never busy with the second."""

    DEFAULT = "default"
    SENDING = "sending"


def api_command() -> list[str]:
    """The API: one process."""
    return [sys.executable, "-m", "server.serve"]


def worker_command(processes: int = 1, queues: Sequence[str] = tuple(Queue)) -> list[str]:
    """Dramatiq's workers for `queues`: `processes` of them, with `config().worker_threads` threads each."""
    return [
        *(sys.executable, "-m", "dramatiq", "jobs"),
        *("--processes", str(processes)),
        *("--threads", str(config().worker_threads)),
        *("--worker-shutdown-timeout", str(WORKER_STOP_SECONDS * 1000)),
        *("--queues", *queues),
    ]


def worker_environment() -> dict[str, str]:
    """What the workers need besides: an idle worker looks for work every 50 ms, not every second."""
    return {"dramatiq_worker_timeout": str(WORKER_POLL_MS)}


def clock_command() -> list[str]:
    """The clock, which wakes what is due. Any number may run."""
    return [sys.executable, "-m", "jobs.clock"]
