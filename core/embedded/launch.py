"""Run as a script between the supervisor and a server: become the account, ask to die with the supervisor, exec.

A script and not a `preexec_fn`, which can deadlock when the parent has threads. Imports little, so it costs some 20 ms.
Arguments: parent pid, signal for the parent's death, uid, gid (-1: keep), command.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _die_with(parent: int, death_signal: int) -> None:
    """Only Linux can do this; elsewhere the next start stops what was left. After `_become`, which would undo it."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:
        sys.exit(1)


def main(arguments: list[str]) -> None:
    """Replace this process by the command."""
    parent, death_signal, uid, gid = (int(word) for word in arguments[:4])
    command = arguments[4:]
    if uid >= 0:
        _become(uid, gid)
    _die_with(parent, death_signal)
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
