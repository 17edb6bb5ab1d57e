"""Child processes that are kept running, with real ones."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.embedded.processes import identify, wait_until
from server import supervisor as module
from server.supervisor import Child, Supervisor

BOUND = 20
SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {SLEEPER!r}])
print(child.pid, flush=True)
child.wait()
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path)
    yield made
    made.stop()


def start(supervisor: Supervisor, code: str) -> Child:
    """A child that runs `code` and has printed its first line."""
    child = Child("child", [sys.executable, "-c", code], dict(os.environ))
    supervisor.start(child)
    assert wait_until(lambda: bool(supervisor.log(child).read_text()), BOUND)
    return child


def watched(supervisor: Supervisor, condition: Callable[[], bool]) -> list[str]:
    """What `supervisor` tells until `condition` is true."""
    news: list[str] = []

    def look() -> bool:
        news.extend(supervisor.watch())
        return condition()

    assert wait_until(look, BOUND)
    return news


def test_a_child_that_dies_is_started_again(supervisor: Supervisor) -> None:
    child = start(supervisor, SLEEPER)
    assert supervisor.watch() == []
    assert child.process
    first = child.process.pid

    os.kill(first, signal.SIGKILL)
    news = watched(supervisor, lambda: child.running() and child.process is not None and child.process.pid != first)

    assert news == [f"child ended with code -9; see {supervisor.log(child)}", "child started again"]
    assert child.failures == 1


def test_the_pause_grows_while_a_child_keeps_dying(supervisor: Supervisor) -> None:
    child = start(supervisor, "print('up')")

    watched(supervisor, lambda: child.failures == 2)

    assert child.due - time.monotonic() == pytest.approx(2.0, abs=0.5)
    child.failures = 50
    assert child.pause() == module.LONGEST_PAUSE


def test_a_child_that_ran_long_has_its_failures_forgiven(supervisor: Supervisor) -> None:
    child = start(supervisor, SLEEPER)
    assert child.process
    child.failures = 5
    child.since -= module.STEADY_SECONDS + 1

    os.kill(child.process.pid, signal.SIGKILL)
    watched(supervisor, lambda: child.due > 0)

    assert child.failures == 0


def test_what_a_dead_child_left_is_killed(supervisor: Supervisor) -> None:
    child = start(supervisor, PARENT)
    left = identify(int(supervisor.log(child).read_text().split()[0]))
    assert child.process
    assert left

    os.kill(child.process.pid, signal.SIGKILL)
    watched(supervisor, lambda: child.due > 0)

    assert wait_until(lambda: not left.alive(), BOUND)


@pytest.mark.parametrize("code", [SLEEPER, STUBBORN])
def test_stop_ends_every_child(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 1)
    start(supervisor, code)
    (child,) = supervisor.identities()

    supervisor.stop()

    assert not child.alive()
    assert supervisor.watch() == []


def test_a_log_that_has_grown_large_begins_anew(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOG_BYTES", 100)
    child = start(supervisor, "import time\nprint('x' * 200, flush=True)\ntime.sleep(1)\nprint('more', flush=True)")
    supervisor.watch()

    assert wait_until(lambda: supervisor.log(child).read_text() == "more\n", BOUND)
    assert supervisor.log(child).with_suffix(".previous.log").read_text() == "x" * 200 + "\n"
