"""Keeps child processes running: starts them, starts them again when they die, stops them all."""

import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.embedded.processes import Command, Identity, identify, kill_group, spawn, wait_until

STOP_SECONDS = 15
STEADY_SECONDS = 30
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
LOG_BYTES = 20_000_000


@dataclass
class Child:
    """One process to keep running.

    Attributes:
        name: for messages and the log's file name.
        words: program and arguments.
        environment: all of its variables.
        failures: how often in a row it died soon after its start.
        process: as last started.
        due: when to start it again, on the monotonic clock.
        since: when it was started, on the monotonic clock.
    """

    name: str
    words: list[str]
    environment: Mapping[str, str]
    failures: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    due: float = 0.0
    since: float = 0.0

    def running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def pause(self) -> float:
        """Seconds to wait before the next start: doubles with every failure."""
        return min(FIRST_PAUSE * 2.0**self.failures, LONGEST_PAUSE)


@dataclass
class Supervisor:
    """The children of one demo. Call `watch` often.

    Attributes:
        logs: folder of their logs, `<name>.log` each.
        children: in the order of their start.
    """

    logs: Path
    children: list[Child] = field(default_factory=list)

    def start(self, child: Child) -> None:
        """Start `child` and keep it running from now on."""
        previous = self.log(child)
        if previous.exists():
            previous.rename(previous.with_suffix(".previous.log"))
        self.children.append(child)
        self._spawn(child)

    def log(self, child: Child) -> Path:
        """The file that takes what `child` writes."""
        return self.logs / f"{child.name}.log"

    def _spawn(self, child: Child) -> None:
        command = Command(words=tuple(child.words), log=self.log(child), environment=child.environment)
        child.process = spawn(command)
        child.since = time.monotonic()
        child.due = 0.0

    def watch(self) -> list[str]:
        """Look after every child once; what there is to tell about it.

        A dead child is started again after a pause that grows while it keeps dying.
        """
        news = [told for child in self.children if (told := self._look_after(child))]
        for child in self.children:
            _shorten(self.log(child))
        return news

    def _look_after(self, child: Child) -> str | None:
        if child.running():
            return None
        if not child.due:
            return self._mourn(child)
        if time.monotonic() >= child.due:
            self._spawn(child)
            return f"{child.name} started again"
        return None

    def _mourn(self, child: Child) -> str:
        """Note that `child` died, end what it left in its group, and set the time of the next start."""
        steady = time.monotonic() - child.since > STEADY_SECONDS
        code = child.process.returncode if child.process else None
        if child.process:
            kill_group(child.process.pid)
        child.failures = 0 if steady else child.failures + 1
        child.due = time.monotonic() + child.pause()
        return f"{child.name} ended with code {code}; see {self.log(child)}"

    def identities(self) -> list[Identity]:
        """Who the running children are."""
        pids = [child.process.pid for child in self.children if child.process]
        return [found for pid in pids if (found := identify(pid))]

    def stop(self) -> None:
        """Ask all children to end; kill those, with their own children, that have not after 15 s."""
        processes = [child.process for child in self.children if child.process]
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        wait_until(lambda: all(process.poll() is not None for process in processes), STOP_SECONDS)
        for process in processes:
            kill_group(process.pid)
            process.wait()
        self.children.clear()


def _shorten(log: Path) -> None:
    """Empty a log that has grown large. The children append, so they go on at its new end."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.with_suffix(".previous.log").write_bytes(log.read_bytes())
        with log.open("r+b") as file:
            file.truncate()
