"""The state directory: the lock, one private file of what a start must find again, the logs, and the data's place."""

import os
import secrets
import shutil
import tempfile
from pathlib import Path

from pydantic import BaseModel, ValidationError

from core.embedded.accounts import Account, reachable
from core.embedded.failure import SetUpError
from core.embedded.lock import FolderLock, unwritable
from core.embedded.processes import Identity

PASSABLE = 0o711
LASTING_PARENTS = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108 - what is made in them has an unguessable name
DATA = ("postgres", "postgres.new", "valkey", "programs")


class SavedServer(BaseModel):
    """A server as last started."""

    port: int
    process: Identity | None = None


class Saved(BaseModel):
    """What a start must find again.

    Attributes:
        password: of both servers.
        place: the folder that holds their data.
        servers: by name.
    """

    password: str
    place: Path
    servers: dict[str, SavedServer] = {}


class State:
    """The state directory of one pair of servers. One process at a time may hold it."""

    def __init__(self, folder: Path, *, lasting: bool = True) -> None:
        """Touches nothing yet. `lasting` data is never put where a system sweeps old files away, if that can be."""
        self._parents = LASTING_PARENTS if lasting else LASTING_PARENTS[1:]
        self.folder = folder.absolute()
        self.logs = self.folder / "logs"
        self._file = self.folder / "servers.json"
        self._lock = FolderLock(self.folder / "lock")

    def acquire(self) -> None:
        """Make the folder if need be and take its lock, which the system frees when this process dies.

        Raises:
            SetUpError: another process holds it, or the folder cannot be written.
        """
        make_folder(self.folder)
        make_folder(self.logs)
        self._lock.acquire()

    def release(self) -> None:
        """Give the lock back. Without it, nothing happens."""
        self._lock.release()

    def load(self, account: Account | None) -> Saved:
        """What was saved, or fresh settings. The data's place is one that `account` can reach.

        Raises:
            SetUpError: there is data, but it is another user's or its password is lost.
        """
        saved = self._read()
        if saved and saved.place.is_dir():
            _check_owner(saved.place, account)
            return saved
        if (self.folder / "postgres").exists():
            raise SetUpError(f"The password of the data in {self.folder} is lost. Remove the folder to start anew.")
        return Saved(password=secrets.token_urlsafe(24), place=self._choose_place(account))

    def _read(self) -> Saved | None:
        try:
            return Saved.model_validate_json(self._file.read_text())
        except FileNotFoundError:
            return None
        except ValidationError:
            raise SetUpError(f"{self._file} is damaged. Remove {self.folder} to start anew without its data.") from None

    def _choose_place(self, account: Account | None) -> Path:
        """The state directory itself, unless the servers' account cannot reach it (a folder below /root, say)."""
        if reachable(self.folder, account):
            return self.folder
        parent = next((path for path in self._parents if os.access(path, os.W_OK)), None)
        if parent is None:
            raise SetUpError(
                f"The servers run as another user than root, who cannot reach {self.folder}. "
                "Set REPLYHQ_STATE_DIR to a folder that all users can reach."
            )
        place = Path(tempfile.mkdtemp(prefix="replyhq-", dir=parent))
        place.chmod(PASSABLE)
        return place

    def save(self, saved: Saved) -> None:
        """Keep `saved` for the next start."""
        write_private(self._file, saved.model_dump_json(indent=2))

    def discard(self, saved: Saved) -> None:
        """Remove the data. The logs stay."""
        self._file.unlink(missing_ok=True)
        if saved.place != self.folder:
            shutil.rmtree(saved.place)
        for name in DATA:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def erase(self) -> None:
        """Remove the data and the folder with all that is in it.

        Raises:
            SetUpError: a process runs servers in it.
        """
        if not self.folder.is_dir():
            return
        self.acquire()
        saved = self._read()
        if saved:
            self.discard(saved)
        shutil.rmtree(self.folder)
        self.release()


def make_folder(path: Path) -> None:
    """Make `path` unless it is there, closed to other users; root lets the servers' user pass through.

    Raises:
        SetUpError: it cannot be made.
    """
    try:
        path.mkdir(mode=PASSABLE if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from None


def _check_owner(place: Path, account: Account | None) -> None:
    data = place / "postgres"
    expected = account.uid if account else os.geteuid()
    if data.exists() and data.stat().st_uid != expected:
        raise SetUpError(
            f"The data in {place} belongs to another user. Start as the user that made it, "
            "or set REPLYHQ_STATE_DIR to another folder."
        )


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read; whoever reads it sees all of it or none."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600, exist_ok=False)
    draft.write_text(text)
    draft.replace(path)
