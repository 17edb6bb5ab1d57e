"""Free ports on the loopback address."""

import atexit
import random
import socket
from contextlib import closing

HOST = "127.0.0.1"
# Below the range that systems lend to outgoing connections: there, a client that keeps trying to reconnect while the
# server is away can be lent the server's own port, and then talks to itself.
FIRST, LAST = 20_000, 29_999
ATTEMPTS = 100
_kept: dict[int, socket.socket] = {}
"""A datagram socket on the number of each port that this process has chosen. Servers listen beside it; it only tells
other processes that choose a port, until this one ends, that the number is taken though nobody listens yet."""


@atexit.register
def _give_back() -> None:
    for keeper in _kept.values():
        keeper.close()


def is_free(port: int, host: str = HOST) -> bool:
    """Whether a server could listen on `port` of `host` now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return _bound(probe, host, port)


def free_port(wanted: int | None = None) -> int:
    """`wanted` if it is free, else one that is, chosen at random; no other process is given it while this one lives.

    Raises:
        OSError: a hundred ports tried, all taken.
    """
    chance = random.SystemRandom()
    tried = [] if wanted is None else [wanted]
    tried += [chance.randint(FIRST, LAST) for _ in range(ATTEMPTS)]
    for port in tried:
        if is_free(port) and _keep(port):
            return port
    raise OSError(f"No free port on {HOST}.")


def _keep(port: int) -> bool:
    """Take the number for this process, unless another one has it."""
    if port in _kept:
        return True
    keeper = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if not _bound(keeper, HOST, port):
        keeper.close()
        return False
    _kept[port] = keeper
    return True


def _bound(unbound: socket.socket, host: str, port: int) -> bool:
    try:
        unbound.bind((host, port))
    except OSError:
        return False
    return True
