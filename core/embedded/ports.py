"""Free ports on the loopback address."""

import random
import socket
from contextlib import closing

# Below the range that systems lend to outgoing connections: there, a client that keeps trying to reconnect while the
# server is away can be lent the server's own port, and then talks to itself.
FIRST, LAST = 20_000, 29_999
ATTEMPTS = 100


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on `port` of `host` now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port(wanted: int | None = None) -> int:
    """`wanted` if it is free, else one that is, chosen at random.

    Raises:
        OSError: a hundred ports tried, all taken.
    """
    if wanted is not None and is_free(wanted):
        return wanted
    chance = random.SystemRandom()
    for _ in range(ATTEMPTS):
        port = chance.randint(FIRST, LAST)
        if is_free(port):
            return port
    raise OSError("No free port on 127.0.0.1.")
