"""One process at a time: a lock file that the system frees when its holder dies, however it dies."""

import fcntl
import os
from pathlib import Path

from core.embedded.failure import SetUpError


class FolderLock:
    """The right to work in the folder of `path`, the lock file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            SetUpError: another process holds it, or the file cannot be written.
        """
        lock = self._open()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise SetUpError(self._taken()) from None
        os.truncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        self._held = lock

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise unwritable(self._path.parent, error) from None

    def _taken(self) -> str:
        pid = self._path.read_text() or "unknown"
        return (
            f"Process {pid} already works in {self._path.parent}. "
            "Stop it first, or set REPLYHQ_STATE_DIR to another folder."
        )

    def release(self) -> None:
        """Give the lock back. Without it, nothing happens."""
        if self._held is not None:
            os.close(self._held)
            self._held = None


def unwritable(folder: Path, error: OSError) -> SetUpError:
    """What to say when the state directory is not ours to write."""
    return SetUpError(f"Cannot write {folder}: {error.strerror}. Set REPLYHQ_STATE_DIR to a folder that is yours.")
