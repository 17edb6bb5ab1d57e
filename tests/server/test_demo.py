"""`replyhq demo` as a user starts it: one process, with everything below it."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from core.embedded import erase
from core.embedded.ports import free_port
from core.embedded.processes import Identity, identify, wait_until

ROOT = Path(__file__).parents[2]
BOUND = 60
REPLYHQ = [sys.executable, "-c", "from server.cli import app; app()"]
SHOW_URL = (
    "from server.environment import load_environment; import os; load_environment(); print(os.environ['REDIS_URL'])"
)


class Demo:
    """A demo on a port and in a state directory of its own."""

    def __init__(self, base: Path) -> None:
        self.state = base / "state"
        self.out = base / "out"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def environment(self, **more: str) -> dict[str, str]:
        """Without the servers and the switches of the tests."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("REPLYHQ_", "DATABASE_", "REDIS_"))
        }
        return kept | {"REPLYHQ_STATE_DIR": str(self.state), "REPLYHQ_PORT": str(self.port)} | more

    def start(self, until: str = "Ctrl-C stops it") -> None:
        """Start it; on another port when a stranger on this machine has taken its port just now."""
        self._start(until)
        if self.ended() and "address already in use" in self.said():
            self.port = free_port()
            self._start(until)
        assert not self.ended(), self.said()

    def _start(self, until: str) -> None:
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [*REPLYHQ, "demo"], cwd=ROOT, env=self.environment(), stdout=out, stderr=out
            )
        assert wait_until(lambda: until in self.said() or self.ended(), BOUND)

    def said(self) -> str:
        return self.out.read_text()

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def signal(self, number: signal.Signals) -> int:
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(BOUND)

    def run(self, words: list[str], **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            words, cwd=ROOT, env=self.environment(**more), capture_output=True, text=True, timeout=BOUND, check=False
        )

    def family(self) -> list[Identity]:
        """Every process below the demo."""
        assert self.process
        rows = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        parents = {int(pid): int(parent) for pid, parent in (row.split() for row in rows.splitlines())}
        members = {self.process.pid}
        for _ in parents:
            members |= {pid for pid, parent in parents.items() if parent in members}
        return [found for pid in members - {self.process.pid} if (found := identify(pid))]


@pytest.fixture
def demo() -> Iterator[Demo]:
    base = Path(tempfile.mkdtemp(prefix="replyhq-demo-"))
    base.chmod(0o711)
    made = Demo(base)
    yield made
    if made.process and not made.ended():
        made.signal(signal.SIGTERM)
    erase(made.state / "servers")
    shutil.rmtree(base)


def status(port: int, path: str) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status


def test_the_demo_serves_is_found_by_other_commands_and_stops(demo: Demo) -> None:
    demo.start()
    place = f"127.0.0.1:{demo.port}"
    for shown in (f"http://{place}/graphiql", f"http://{place}/graphql", f"ws://{place}/graphql", "password: "):
        assert shown in demo.said()
    assert status(demo.port, "/readyz") == 200
    assert demo.run([sys.executable, "-c", SHOW_URL]).stdout.startswith("redis://:")
    refused = demo.run([*REPLYHQ, "demo"])
    assert refused.returncode == 1
    assert "already works in" in refused.stderr
    family = demo.family()
    assert len(family) > 6

    assert demo.signal(signal.SIGTERM) == 0

    assert demo.said().endswith("Stopping\nStopped\n")
    assert [identity for identity in family if identity.alive()] == []
    assert "Start `make demo`" in demo.run([sys.executable, "-c", SHOW_URL]).stderr


@pytest.mark.long
def test_a_demo_that_is_killed_leaves_nothing_and_starts_again(demo: Demo) -> None:
    demo.start()
    secret = (demo.state / "secret_key").read_text()
    shared = json.loads((demo.state / "demo.json").read_text())["environment"]
    assert shared["REPLYHQ_PUBLIC_URL"] == f"http://127.0.0.1:{demo.port}"
    family = demo.family()

    demo.signal(signal.SIGKILL)

    if sys.platform == "linux":
        assert wait_until(lambda: not any(identity.alive() for identity in family), BOUND)
    demo.start()
    assert [identity for identity in family if identity.alive()] == []
    assert (demo.state / "secret_key").read_text() == secret
    assert status(demo.port, "/readyz") == 200


@pytest.mark.long
@pytest.mark.parametrize("moment", ["PostgreSQL", "up to date", "demo data"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_stopped_while_it_starts_leaves_nothing(demo: Demo, moment: str, number: signal.Signals) -> None:
    demo.start(until=moment)
    family = demo.family()

    assert demo.signal(number) == 0

    assert [identity for identity in family if identity.alive()] == []
    assert not (demo.state / "demo.json").exists()


@pytest.mark.long
def test_a_child_that_dies_is_started_again(demo: Demo) -> None:
    demo.start()
    for identity in demo.family():
        with suppress(ProcessLookupError):  # the children of PostgreSQL end with it
            os.kill(identity.pid, signal.SIGKILL)

    assert wait_until(
        lambda: all(f"{name} started again" in demo.said() for name in ("api", "PostgreSQL", "Valkey")), BOUND
    )
    assert wait_until(lambda: _ready(demo.port), BOUND)


def _ready(port: int) -> bool:
    try:
        return status(port, "/readyz") == 200
    except OSError:
        return False


def test_a_port_that_is_taken_is_told_with_the_way_out(demo: Demo) -> None:
    with socket.create_server(("127.0.0.1", demo.port)):
        refused = demo.run([*REPLYHQ, "demo"])

    assert refused.returncode == 1
    assert refused.stderr == (
        f"Error: Port {demo.port} of 127.0.0.1 is taken by another program. "
        f"Choose another one: REPLYHQ_PORT={demo.port + 1} make demo\n"
    )


def test_one_server_alone_is_refused(demo: Demo) -> None:
    refused = demo.run([*REPLYHQ, "demo"], REDIS_URL="redis://127.0.0.1:1")

    assert refused.returncode == 1
    assert "Only REDIS_URL is set. Set both DATABASE_URL and REDIS_URL, or neither." in refused.stderr


def test_erasing_removes_everything(demo: Demo) -> None:
    demo.state.mkdir(mode=0o711)
    (demo.state / "secret_key").touch()

    assert demo.run([*REPLYHQ, "demo", "--erase"]).returncode == 0
    assert not demo.state.exists()
