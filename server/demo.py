"""The whole of ReplyHQ from one command: servers, migrations, demo data, API, workers and clock, until Ctrl-C."""

import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.config import config
from core.embedded import EmbeddedServers, SetUpError
from core.embedded import erase as erase_servers
from core.embedded.lock import FolderLock
from core.embedded.ports import is_free
from core.embedded.processes import identify, stop_leftover, tail
from core.embedded.state import make_folder, write_private
from core.encryption import new_key
from core.guard import require_safe
from server.commands import Queue, api_command, clock_command, worker_command, worker_environment
from server.demo_address import SignIn, is_ready, show, url
from server.environment import SERVERS, RunningDemo, note_file, read_note, write_note
from server.steps import Steps
from server.supervisor import STOP_SECONDS, Child, Supervisor

SWITCHES = {
    "REPLYHQ_ENVIRONMENT": "development",
    "REPLYHQ_GRAPHIQL": "true",
    "REPLYHQ_INTROSPECTION": "true",
    "REPLYHQ_SIGN_UP_OPEN": "true",
    "REPLYHQ_TWO_FACTOR_REQUIRED": "false",
}
# The keys of a demo are made once, so that what they have signed or encrypted outlives a restart.
KEYS: dict[str, Callable[[], str]] = {
    "REPLYHQ_SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "REPLYHQ_ENCRYPTION_KEYS": lambda: f"demo:{new_key()}",
}
PUBLIC_URL = "REPLYHQ_PUBLIC_URL"
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
READY_SECONDS = 60
WATCH_SECONDS = 0.2
HOPELESS = 3


@dataclass
class Running:
    """What runs for the demo, so far.

    Attributes:
        folder: the state directory.
        steps: tells the user what happens.
        supervisor: of API, workers and clock.
        servers: the embedded ones, or None when the servers are the user's own.
    """

    folder: Path
    steps: Steps
    supervisor: Supervisor
    servers: EmbeddedServers | None = None

    def start(self, *children: Child) -> None:
        """Start `children`, keep them running from now on, and note them down."""
        for child in children:
            self.supervisor.start(child)
        self.note()

    def watch(self) -> None:
        """Start again what died, tell about it, and note down the new processes."""
        news = self.supervisor.watch()
        if self.servers:
            news += [f"{title} started again" for title in self.servers.revive()]
        for line in news:
            self.steps.tell(line)
        if news:
            self.note()

    def note(self) -> None:
        """Note down the demo for commands in other shells and, should this process be killed, for the next start."""
        supervisor = identify(os.getpid())
        if supervisor:
            demo = RunningDemo(supervisor=supervisor, environment=_shared(), children=self.supervisor.identities())
            write_note(self.folder, demo)


def run(steps: Steps) -> None:
    """Run the demo until SIGINT, SIGTERM or SIGHUP; then stop everything.

    Raises:
        SetUpError: something cannot be started; the message says the way out. Everything is stopped by then.
    """
    for stop in STOPS:
        signal.signal(stop, signal.default_int_handler)
    with ExitStack() as stack:
        try:
            _run(steps, stack)
        except KeyboardInterrupt:
            steps.tell("Stopping")
        finally:
            for stop in STOPS:
                signal.signal(stop, signal.SIG_IGN)
    steps.tell("Stopped")


def erase(folder: Path) -> None:
    """Remove the state directory of the demo with its data, wherever that is, and its secrets.

    Raises:
        SetUpError: the demo runs.
    """
    if not folder.is_dir():
        return
    with ExitStack() as stack:
        _take_folder(folder.absolute(), stack)
        erase_servers(folder / "servers")
        shutil.rmtree(folder)


def _run(steps: Steps, stack: ExitStack) -> None:
    folder = config().state_dir.absolute()
    _take_folder(folder, stack)
    _require_port()
    running = Running(folder, steps, Supervisor(folder / "logs"))
    _set_environment(running, stack)
    stack.callback(note_file(folder).unlink, missing_ok=True)
    stack.callback(running.supervisor.stop)
    running.start(_api())
    account = _fill_database(steps)
    running.start(*_workers(), _clock())
    with steps.step("Waiting for the API"):
        _wait_ready(running)
    show(steps, folder / "logs", account)
    while True:
        running.watch()
        time.sleep(WATCH_SECONDS)


def _take_folder(folder: Path, stack: ExitStack) -> None:
    """Lock the state directory and stop what a killed demo left running."""
    make_folder(folder)
    make_folder(folder / "logs")
    lock = FolderLock(folder / "demo.lock")
    lock.acquire()
    stack.callback(lock.release)
    earlier = read_note(folder)
    for child in earlier.children if earlier else ():
        stop_leftover(child, signal.SIGTERM, STOP_SECONDS)


def _require_port() -> None:
    if not is_free(config().port, config().host):
        raise SetUpError(
            f"Port {config().port} of {config().host} is taken by another program. "
            f"Choose another one: REPLYHQ_PORT={config().port + 1} make demo"
        )


def _set_environment(running: Running, stack: ExitStack) -> None:
    """Give this process, and so its children, the variables of the demo. What the user has set stays."""
    given = [name for name in SERVERS if os.environ.get(name)]
    if len(given) == 1:
        raise SetUpError(f"Only {given[0]} is set. Set both DATABASE_URL and REDIS_URL, or neither.")
    if not given:
        _start_servers(running, stack)
    for name, value in (SWITCHES | {PUBLIC_URL: url()}).items():
        os.environ.setdefault(name, value)
    for name, make in KEYS.items():
        os.environ[name] = os.environ.get(name) or _kept(running.folder / name.removeprefix("REPLYHQ_").lower(), make)
    config.cache_clear()
    require_safe()


def _start_servers(running: Running, stack: ExitStack) -> None:
    servers = EmbeddedServers(running.folder / "servers")
    stack.callback(servers.stop)
    with running.steps.step("Starting PostgreSQL and Valkey") as say:
        urls = servers.start(say)
    running.servers = servers
    os.environ.update(DATABASE_URL=urls.database_url, REDIS_URL=urls.redis_url)


def _kept(path: Path, make: Callable[[], str]) -> str:
    """What `make` made at the first start; only the demo's user may read the file."""
    if not path.exists():
        write_private(path, make())
    return path.read_text().strip()


def _shared() -> dict[str, str]:
    """The variables that commands in other shells need to reach this demo."""
    names = (*SERVERS, *SWITCHES, PUBLIC_URL, *KEYS)
    own = {"REPLYHQ_HOST": config().host, "REPLYHQ_PORT": str(config().port)}
    return {name: os.environ[name] for name in names} | own


def _api() -> Child:
    """Started before the database is up to date, which it waits for: its own start takes longer."""
    return Child("api", api_command(), dict(os.environ))


def _workers() -> list[Child]:
    """One for each queue: what should be quick never waits for sending."""
    environment = os.environ | worker_environment()
    return [Child(f"worker-{queue}", worker_command(queues=[queue]), environment) for queue in Queue]


def _clock() -> Child:
    return Child("clock", clock_command(), dict(os.environ))


def _fill_database(steps: Steps) -> SignIn:
    """Imports late: what it needs takes a second to import, in which the API is already starting."""
    with steps.step("Bringing the database up to date"):
        from server.demo_database import upgrade  # noqa: PLC0415

        with _undisturbed():
            upgrade()
    with steps.step("Loading the demo data"):
        from server.demo_database import fill  # noqa: PLC0415

        with _undisturbed():
            return fill()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals to stop wait for the end of the block.

    The handler raises KeyboardInterrupt wherever it is; between the stacks of SQLAlchemy's greenlets that can crash.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def _wait_ready(running: Running) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not is_ready():
        running.watch()
        api = running.supervisor.children[0]
        if api.failures >= HOPELESS or time.monotonic() > deadline:
            log = running.supervisor.log(api)
            raise SetUpError(f"The API does not get ready. The end of {log}:\n{tail(log)}")
        time.sleep(WATCH_SECONDS / 2)
