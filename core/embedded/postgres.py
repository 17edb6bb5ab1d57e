"""A PostgreSQL of our own: made with initdb once, then started on loopback with a password."""

import contextlib
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from core.embedded.accounts import Account
from core.embedded.failure import SetUpError
from core.embedded.processes import Command, spawn, stop, tail
from core.embedded.state import write_private

NAME = "replyhq"
INITDB_SECONDS = 120
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
}
THROWAWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


@dataclass
class Postgres:
    """One PostgreSQL.

    Attributes:
        place: folder that holds its data.
        programs: folder of `postgres` and `initdb`.
        log: file of its messages.
        account: who runs it; None is the user of this process.
        password: of its only role.
        durable: False trades the data's safety for speed: for tests.
    """

    place: Path
    programs: Path
    log: Path
    account: Account | None
    password: str
    durable: bool
    name: str = "postgres"
    title: str = "PostgreSQL"
    stop_signal: signal.Signals = signal.SIGINT  # ends sessions; SIGTERM would wait for them

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.place / "postgres"

    def prepare(self) -> bool:
        """Make the database cluster unless it is there; whether it was made.

        Raises:
            SetUpError: the data is of another major version, or initdb failed.
        """
        if self.data.is_dir():
            self._check_version()
            return False
        draft = self.place / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if self.account:
            self.account.own(draft)
        self._initdb(draft)
        self._create_database(draft)
        draft.rename(self.data)
        return True

    def _check_version(self) -> None:
        has = (self.data / "PG_VERSION").read_text().strip()
        said = subprocess.run([self.programs / "postgres", "--version"], capture_output=True, text=True, check=True)
        if f" {has}." not in said.stdout:
            raise SetUpError(
                f"The data in {self.data} is of PostgreSQL {has}, the program is {said.stdout.strip()}. "
                "Dump and load it with the old version, or remove the folder to start anew."
            )

    def _initdb(self, folder: Path) -> None:
        secret = self._password_file()
        try:
            self._run(
                "initdb",
                *("-D", str(folder), "-U", NAME, f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8"),
                *("--locale-provider=builtin", "--locale=C.UTF-8", "--no-instructions"),
                *(() if self.durable else ("--no-sync",)),
            )
        finally:
            secret.unlink()

    def _password_file(self) -> Path:
        path = self.place / "postgres.password"
        write_private(path, self.password)
        if self.account:
            self.account.own(path)
        return path

    def _create_database(self, folder: Path) -> None:
        """In single-user mode, which needs no connection."""
        statement = f'CREATE DATABASE "{NAME}";\n'.encode()
        self._run("postgres", "--single", "-D", str(folder), *self._settings(), "postgres", stdin=statement)

    def _run(self, program: str, *arguments: str, stdin: bytes = b"") -> None:
        process = spawn(self._command(program, arguments, stdin))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(INITDB_SECONDS)
        if process.returncode != 0:
            stop(process, signal.SIGKILL, 5)
            raise SetUpError(f"{program} failed. The end of {self.log}:\n{tail(self.log)}")

    def _command(self, program: str, arguments: tuple[str, ...], stdin: bytes = b"") -> Command:
        return Command(
            words=(str(self.programs / program), *arguments),
            log=self.log,
            death_signal=self.stop_signal,
            account=self.account,
            environment={"LC_ALL": "C", "PATH": os.defpath},
            stdin=stdin,
            folder=self.place,
        )

    def _settings(self) -> list[str]:
        settings = SETTINGS if self.durable else SETTINGS | THROWAWAY
        return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def spawn(self, port: int) -> "subprocess.Popen[bytes]":
        """Start the server on `port` of the loopback address."""
        return spawn(self._command("postgres", ("-D", str(self.data), "-p", str(port), *self._settings())))

    def ready(self, process: "subprocess.Popen[bytes]", port: int) -> bool:
        """Whether it takes connections: the last line of its pid file says so, as `pg_ctl` reads it."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(process.pid) and lines[3] == str(port) and lines[7].strip() == "ready"

    def url(self, port: int) -> str:
        """Where to connect."""
        return f"postgresql://{NAME}:{self.password}@127.0.0.1:{port}/{NAME}"
