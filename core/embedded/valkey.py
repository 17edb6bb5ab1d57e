"""A Valkey of our own: on loopback with a password, with an append-only file when the data is to last."""

import os
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from core.embedded.accounts import Account
from core.embedded.processes import Command, spawn


@dataclass
class Valkey:
    """One Valkey.

    Attributes:
        place: folder that holds its data.
        program: `valkey-server`.
        log: file of its messages.
        account: who runs it; None is the user of this process.
        password: of its default user.
        durable: False keeps everything in memory only: for tests.
    """

    place: Path
    program: Path
    log: Path
    account: Account | None
    password: str
    durable: bool
    name: str = "valkey"
    title: str = "Valkey"
    stop_signal: signal.Signals = signal.SIGTERM

    @property
    def data(self) -> Path:
        """The folder of its append-only file."""
        return self.place / "valkey"

    def prepare(self) -> bool:
        """Make the data's folder unless it is there; whether it was made."""
        if self.data.is_dir():
            return False
        self.data.mkdir(mode=0o700)
        if self.account:
            self.account.own(self.data)
        return True

    def spawn(self, port: int) -> "subprocess.Popen[bytes]":
        """Start the server on `port` of the loopback address."""
        command = Command(
            words=(str(self.program), "-"),
            log=self.log,
            death_signal=self.stop_signal,
            account=self.account,
            environment={"LC_ALL": "C", "PATH": os.defpath},
            stdin=self._settings(port).encode(),
            folder=self.place,
        )
        return spawn(command)

    def _settings(self, port: int) -> str:
        lasting = "appendonly yes\nappendfsync everysec" if self.durable else "appendonly no"
        return (
            f"bind 127.0.0.1\nport {port}\nrequirepass {self.password}\n"
            f'dir "{self.data}"\nsave ""\n{lasting}\nmaxmemory-policy noeviction\n'
        )

    def ready(self, process: "subprocess.Popen[bytes]", port: int) -> bool:  # noqa: ARG002 - as of every server
        """Whether it answers to our password."""
        try:
            with (
                socket.create_connection(("127.0.0.1", port), timeout=1) as connection,
                connection.makefile("rb") as said,
            ):
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                return [said.readline(), said.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
        except OSError:
            return False

    def url(self, port: int) -> str:
        """Where to connect."""
        return f"redis://:{self.password}@127.0.0.1:{port}/0"
