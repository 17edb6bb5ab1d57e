"""Who the servers run as. PostgreSQL refuses to run as root, so root hands both servers to `nobody`."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from core.embedded.failure import OWN_SERVERS, SetUpError

UNPRIVILEGED = "nobody"


@dataclass(frozen=True)
class Account:
    """A user and group id of the operating system."""

    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Make `path` belong to this account."""
        os.chown(path, self.uid, self.gid)


def server_account() -> Account | None:
    """The account that the servers run as, or None when they run as the user of this process.

    Raises:
        SetUpError: this process is root and there is no unprivileged user, or its user has no name.
    """
    if os.geteuid() == 0:
        return _unprivileged()
    _require_name(os.geteuid())
    return None


def _unprivileged() -> Account:
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        raise SetUpError(
            f"PostgreSQL does not run as root and there is no user {UNPRIVILEGED!r} to run it as. "
            f"Start as a normal user. {OWN_SERVERS}"
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def _require_name(uid: int) -> None:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise SetUpError(
            f"PostgreSQL needs a user with a name, and user id {uid} has no entry in /etc/passwd. "
            f"Start as a user that has one (in a container: `--user` with an existing user). {OWN_SERVERS}"
        ) from None


def reachable(path: Path, account: Account | None) -> bool:
    """Whether `account` may pass through `path` and every folder above it, judged by their mode bits."""
    if account is None:
        return True
    resolved = path.resolve()
    return all(_may_pass(folder, account) for folder in (resolved, *resolved.parents))


def _may_pass(path: Path, account: Account) -> bool:
    found = path.stat()
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == account.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)
