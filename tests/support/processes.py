"""The product's own processes, as tests run them."""

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

from core.embedded.ports import free_port
from server.commands import api_command, clock_command, worker_command, worker_environment


class Process:
    """A process of the product, in a process group of its own."""

    def __init__(self, command: list[str], **environment: str) -> None:
        self._command = command
        self._environment = os.environ | environment
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._running = subprocess.Popen(self._command, env=self._environment, start_new_session=True)

    @property
    def pid(self) -> int:
        assert self._running is not None
        return self._running.pid

    def kill(self) -> None:
        """kill -9 of the whole group."""
        assert self._running is not None
        os.killpg(self._running.pid, signal.SIGKILL)
        self._running.wait(10)

    def stop(self) -> None:
        if self._running is None or self._running.poll() is not None:
            return
        self._running.terminate()  # not the group: a second SIGTERM from its master makes a Dramatiq worker hang
        try:
            self._running.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


class Api(Process):
    """An API process on a free port."""

    def __init__(self, **environment: str) -> None:
        port = free_port(None)
        super().__init__(api_command(), REPLYHQ_PORT=str(port), **environment)
        self.url = f"http://127.0.0.1:{port}"
        self.graphql = f"{self.url}/graphql"
        self.socket = f"ws://127.0.0.1:{port}/graphql"

    def start(self) -> None:
        super().start()
        end = time.monotonic() + 90
        while not self._ready():
            assert time.monotonic() < end, "the API is not ready within 90 s"
            time.sleep(0.05)  # nothing else runs in this process meanwhile

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


def worker(**environment: str) -> Process:
    """A Dramatiq worker process."""
    return Process(worker_command(), **worker_environment(), **environment)


def clock(**environment: str) -> Process:
    """A clock process."""
    return Process(clock_command(), **environment)
