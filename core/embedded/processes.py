"""Starting, watching and stopping processes that must not outlive this one."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from core.embedded import launch
from core.embedded.accounts import Account

POLL_SECONDS = 0.01

# Linux sends the death signal when the *thread* that started a process ends. The main thread ends last; calls from
# other threads are handed to one that lives as long.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="process-starter")


class Identity(BaseModel, frozen=True):
    """A process that cannot be mistaken for a later one with the same pid."""

    pid: int
    started: str

    def alive(self) -> bool:
        """Whether this very process still runs. A zombie does not."""
        return started(self.pid) == self.started


@dataclass(frozen=True)
class Command:
    """What to run and how.

    Attributes:
        words: program (absolute path) and arguments.
        log: file that takes standard output and standard error, made private.
        death_signal: what the process gets when this one dies (Linux).
        account: who runs it; None is the user of this process.
        environment: all variables of the process.
        stdin: what it reads; a place for secrets, which would be seen by everybody among the arguments.
        folder: its working directory; None is this process's.
    """

    words: tuple[str, ...]
    log: Path
    death_signal: signal.Signals = signal.SIGTERM
    account: Account | None = None
    environment: Mapping[str, str] | None = None
    stdin: bytes = b""
    folder: Path | None = None


def spawn(command: Command) -> "subprocess.Popen[bytes]":
    """Start `command` in a session of its own, so that Ctrl-C in a terminal reaches only the supervisor.

    A process with several threads that is killed sends the death signal more than once; start what would mind (Dramatiq
    does) from a process that keeps to one thread.
    """
    if threading.current_thread() is threading.main_thread():
        return _spawn(command)
    return _starter.submit(_spawn, command).result()


def _spawn(command: Command) -> "subprocess.Popen[bytes]":
    uid, gid = (command.account.uid, command.account.gid) if command.account else (-1, -1)
    wrapper = (sys.executable, "-I", "-S", launch.__file__, os.getpid(), command.death_signal.value, uid, gid)
    command.log.touch(mode=0o600)
    with command.log.open("ab") as log:
        process = subprocess.Popen(
            [str(word) for word in (*wrapper, *command.words)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=command.environment,
            cwd=command.folder,
            start_new_session=True,
        )
    _feed(process, command.stdin)
    return process


def _feed(process: "subprocess.Popen[bytes]", text: bytes) -> None:
    if process.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(text)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask `condition` until it is true or `seconds` have passed; the last answer."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def stop(process: "subprocess.Popen[bytes]", first: signal.Signals, seconds: float) -> None:
    """Ask `process` with `first` to end; after `seconds` kill it. Then kill what it left in its process group."""
    if process.poll() is None:
        process.send_signal(first)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            kill_group(process.pid)
            process.wait(seconds)
    kill_group(process.pid)


def kill_group(pid: int) -> None:
    """Kill every process of the group that `pid` leads or led."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def stop_leftover(identity: Identity, first: signal.Signals, seconds: float) -> None:
    """Stop a process that an earlier supervisor left behind, if it is still the same process."""
    if not identity.alive():
        return
    os.kill(identity.pid, first)
    if not wait_until(lambda: not identity.alive(), seconds):
        kill_group(identity.pid)
        wait_until(lambda: not identity.alive(), seconds)


def identify(pid: int) -> Identity | None:
    """Who `pid` is now, or None when there is no such process."""
    since = started(pid)
    return Identity(pid=pid, started=since) if since else None


def started(pid: int) -> str | None:
    """When `pid` was started, in the system's own words, or None when it does not run. Unique across reboots."""
    return _started_linux(pid) if sys.platform == "linux" else _started_elsewhere(pid)


def _started_linux(pid: int) -> str | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    if fields[0] in {"Z", "X"}:
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{fields[19]}"


def _started_elsewhere(pid: int) -> str | None:
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    state, _, since = subprocess.run(command, capture_output=True, text=True, check=False).stdout.partition(" ")
    return None if not since or state.startswith("Z") else since.strip()


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
