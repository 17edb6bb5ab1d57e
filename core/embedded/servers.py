"""Both servers together: started, found again, stopped."""

import contextlib
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from core.embedded.accounts import server_account
from core.embedded.binaries import postgres_folder, valkey_program
from core.embedded.failure import SetUpError
from core.embedded.ports import free_port
from core.embedded.postgres import Postgres
from core.embedded.processes import identify, stop, stop_leftover, tail, wait_until
from core.embedded.state import Saved, SavedServer, State
from core.embedded.valkey import Valkey

START_SECONDS = 60
STOP_SECONDS = 20
ATTEMPTS = 3
PAUSE_SECONDS = 0.5
Server = Postgres | Valkey


@dataclass(frozen=True)
class Urls:
    """Where the two servers are, with their password. Secrets: never log them."""

    database_url: str
    redis_url: str


def _silent(_: str) -> None:
    """Report to nobody."""


class EmbeddedServers:
    """A PostgreSQL and a Valkey that belong to this process, on the loopback address, with data that lasts.

    They end with this process: by `stop`, or on Linux by the kernel when it is killed; elsewhere the next start on
    the same folder stops what was left.
    """

    def __init__(self, state_dir: Path, *, durable: bool = True) -> None:
        """Nothing is started yet.

        Args:
            state_dir: keeps data, ports, password and logs; made when missing. One process at a time.
            durable: False is for tests: nothing is flushed to disk, and `stop` throws the data away.
        """
        self._state = State(state_dir, lasting=durable)
        self._durable = durable
        self._servers: dict[str, Server] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._saved: Saved | None = None

    def start(self, report: Callable[[str], None] = _silent) -> Urls:
        """Start both and wait until they answer: 2 s for a new folder, else some 0.2 s.

        Args:
            report: is told each step in a few words.

        Raises:
            SetUpError: they cannot run here, or another process runs them; the message says the way out.
        """
        self._state.acquire()
        try:
            return self._start(report)
        except BaseException:
            self.stop()
            raise

    def _start(self, report: Callable[[str], None]) -> Urls:
        account = server_account()
        self._saved = saved = self._state.load(account)
        self._state.save(saved)
        common = (account, saved.password, self._durable)
        valkey = Valkey(saved.place, valkey_program(saved.place, account), self._log("valkey"), *common)
        postgres = Postgres(saved.place, postgres_folder(saved.place, account), self._log("postgres"), *common)
        for server in (valkey, postgres):
            report(f"Starting {server.title}")
            self._prepare(server, saved)
            self._launch(server, saved)
        return self.urls

    def _log(self, name: str) -> Path:
        """An empty log; the one of the start before is kept beside it."""
        path = self._state.logs / f"{name}.log"
        with contextlib.suppress(FileNotFoundError):
            path.rename(path.with_suffix(".previous.log"))
        return path

    def _prepare(self, server: Server, saved: Saved) -> None:
        left = saved.servers.get(server.name)
        if left and left.process:
            stop_leftover(left.process, server.stop_signal, STOP_SECONDS)
        server.prepare()
        self._servers[server.name] = server

    def _launch(self, server: Server, saved: Saved) -> None:
        """Start `server` on its port of last time, or on another one when somebody took that.

        More than once, because the port can be taken at the last moment, and the remains of a killed server need a
        moment to go.
        """
        last = saved.servers.get(server.name)
        for _ in range(ATTEMPTS):
            port = free_port(last.port if last else None)
            if self._try_port(server, saved, port):
                return
            time.sleep(PAUSE_SECONDS)
        raise SetUpError(f"{server.title} does not start. The end of {server.log}:\n{tail(server.log)}")

    def _try_port(self, server: Server, saved: Saved, port: int) -> bool:
        process = server.spawn(port)
        self._running[server.name] = process
        saved.servers[server.name] = SavedServer(port=port, process=identify(process.pid))
        self._state.save(saved)
        wait_until(lambda: process.poll() is not None or server.ready(process, port), START_SECONDS)
        if process.poll() is None and server.ready(process, port):
            return True
        self._halt(server)
        return False

    def _halt(self, server: Server) -> None:
        process = self._running.pop(server.name, None)
        if process is not None:
            stop(process, server.stop_signal, STOP_SECONDS)

    @property
    def urls(self) -> Urls:
        """Where the servers are.

        Raises:
            SetUpError: they are not started.
        """
        saved = self._started()
        postgres, valkey = (self._servers[name].url(saved.servers[name].port) for name in ("postgres", "valkey"))
        return Urls(postgres, valkey)

    def _started(self) -> Saved:
        if self._saved is None:
            raise SetUpError("The servers are not started: call start() first.")
        return self._saved

    def stop(self) -> None:
        """Stop both, PostgreSQL last. Nothing happens when they do not run."""
        for server in self._servers.values():
            self._halt(server)
        if self._saved is not None and not self._durable:
            self._state.discard(self._saved)
        self._saved = None
        self._state.release()

    def revive(self) -> list[str]:
        """Start again what died by itself; the titles of those. To be called now and then.

        Raises:
            SetUpError: one does not start again.
        """
        dead = [self._servers[name] for name, process in self._running.items() if process.poll() is not None]
        for server in dead:
            self._halt(server)
            self._launch(server, self._started())
        return [server.title for server in dead]

    def stop_valkey(self) -> None:
        """Stop Valkey alone, to see what its absence does."""
        self._started()
        self._halt(self._servers["valkey"])

    def start_valkey(self) -> None:
        """Start Valkey again, on the same port; durable data is there again."""
        saved = self._started()
        if "valkey" not in self._running:
            self._launch(self._servers["valkey"], saved)

    def restart_valkey(self) -> None:
        """Stop Valkey and start it again, on the same port; durable data is there again."""
        self.stop_valkey()
        self.start_valkey()

    def __enter__(self) -> Self:
        """The servers, started."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def erase(state_dir: Path) -> None:
    """Remove the data of the servers of `state_dir` for good, wherever it is, and the folder.

    Raises:
        SetUpError: a process runs them.
    """
    State(state_dir).erase()
