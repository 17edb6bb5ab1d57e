"""What others may have us connect to: https on the public internet, and in development this machine.

A name is resolved once; every address it has must pass, and only those that were checked are connected to.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from yarl import URL

from core.config import config

PORTS = (443, 8443)
Address = IPv4Address | IPv6Address
Lookup = Callable[[str, int], Awaitable[list[str]]]
# What `is_global` of Python 3.11 lets through, and it should not.
DENIED = tuple(
    ip_network(network)
    for network in (
        *("224.0.0.0/4", "192.88.99.0/24", "192.0.0.0/24"),
        *("ff00::/8", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001:20::/28", "3fff::/20"),
        *("5f00::/16", "fec0::/10", "::/96", "::ffff:0:0:0/96"),
    )
)


class BlockedError(OSError):
    """An address that must not be connected to."""


def parse_url(text: str, *, allow_loopback: bool | None = None) -> URL:
    """A URL that requests may go to, as far as it tells itself: the addresses of a name are checked with each request.

    Args:
        text: `https://host/path`, on port 443, 8443 or one of REPLYHQ_OUTBOUND_PORTS.
        allow_loopback: whether this machine may be meant, on any port and by http; as configured when not given.

    Raises:
        ValueError: it is not fit; the text says why, as the end of a sentence.
    """
    try:
        url = URL(text)
        port = url.port
    except ValueError:
        raise ValueError("is no URL") from None
    if url.scheme not in {"https", "http"}:
        raise ValueError("must begin with https://")
    if not url.host:
        raise ValueError("is no URL")
    if url.user is not None or url.password is not None:
        raise ValueError("must hold no user name or password")
    allowed = config().outbound_allow_loopback if allow_loopback is None else allow_loopback
    if not (allowed and is_loopback(url.host)):
        _refuse_private(url.scheme, url.host, port)
    return url


def _refuse_private(scheme: str, host: str, port: int | None) -> None:
    if scheme != "https":
        raise ValueError("must begin with https://")
    if port not in {*PORTS, *config().outbound_ports}:
        raise ValueError(f"must have port {PORTS[0]} or {PORTS[1]}")
    if is_loopback(host) or (_is_numeric(host) and not may_connect(host, allow_loopback=False)):
        raise ValueError("must lead to a public address")


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def _is_numeric(host: str) -> bool:
    """Whether no name server is asked: also of short and of decimal forms, which are never right."""
    return ":" in host or host.replace(".", "").isdigit()


async def look_up(host: str, port: int) -> list[str]:
    """All addresses of a name, as the system resolves it.

    Raises:
        OSError: it has none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def checked(host: str, port: int, *, allow_loopback: bool, lookup: Lookup = look_up) -> list[str]:
    """The addresses of `host`, all of them fit to connect to.

    Raises:
        BlockedError: one of them is not.
        OSError: it has none.
    """
    found = await lookup(host, port)
    if not found:
        raise OSError("no address")
    for one in found:
        if not may_connect(one, allow_loopback=allow_loopback):
            raise BlockedError("not a public address")
    return found


def may_connect(address: str, *, allow_loopback: bool) -> bool:
    """Whether `address` is public, or this machine where that is allowed. What is no address is neither."""
    try:
        parsed = _unwrapped(ip_address(address))
    except ValueError:
        return False
    if parsed.is_loopback:
        return allow_loopback
    return parsed.is_global and not any(parsed in network for network in DENIED)


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside of an IPv6 one that only maps it."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
