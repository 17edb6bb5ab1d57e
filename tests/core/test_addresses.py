"""Which addresses and URLs others may have us connect to."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.addresses import BlockedError, checked, may_connect, parse_url

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"]
BLOCKED = [
    *("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "0.0.0.1", "255.255.255.255"),
    *(
        "224.0.0.1",
        "239.255.255.250",
        "192.88.99.1",
        "192.0.0.8",
        "192.0.2.1",
        "198.18.0.1",
        "203.0.113.9",
        "240.0.0.1",
    ),
    *("::", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "ff02::1", "fec0::1", "64:ff9b::a00:1"),
    *("64:ff9b:1::1", "2002:a00:1::", "2001:20::1", "2001:db8::1", "3fff::1", "5f00::1", "::10.0.0.1"),
    *("::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:10.0.0.1"),
]
LOOPBACK = ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"]
NO_ADDRESS = ["", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1"]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_connected_to(address: str) -> None:
    assert may_connect(address, allow_loopback=False)


@pytest.mark.parametrize("address", [*BLOCKED, *NO_ADDRESS])
def test_others_may_not_whatever_is_allowed(address: str) -> None:
    assert not may_connect(address, allow_loopback=False)
    assert not may_connect(address, allow_loopback=True)


@pytest.mark.parametrize("address", LOOPBACK)
def test_this_machine_may_where_that_is_allowed(address: str) -> None:
    assert not may_connect(address, allow_loopback=False)
    assert may_connect(address, allow_loopback=True)


@given(st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=4, network="169.254.0.0/16"))
def test_what_is_private_stays_so_in_ipv6(address: object) -> None:
    for form in (f"::ffff:{address}", f"::{address}", f"64:ff9b::{address}"):
        assert not may_connect(str(ip_address(form)), allow_loopback=True)


@pytest.mark.parametrize(
    "url",
    ["https://example.com/x?y=1", "https://example.com:8443", "https://8.8.8.8/", "https://[2606:4700::1]/"],
)
def test_https_urls_are_fit(url: str) -> None:
    assert str(parse_url(url, allow_loopback=False)).startswith(url.rstrip("/"))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "must begin with https://"),
        ("example.com", "must begin with https://"),
        ("http://example.com", "must begin with https://"),
        ("file:///etc/passwd", "must begin with https://"),
        ("gopher://example.com", "must begin with https://"),
        ("https://", "is no URL"),
        ("https://[::1", "is no URL"),
        ("https://example.com:99999", "is no URL"),
        ("https://user:secret@example.com", "must hold no user name or password"),
        ("https://user@example.com", "must hold no user name or password"),
        ("https://example.com:22", "must have port 443 or 8443"),
        ("https://127.0.0.1", "must lead to a public address"),
        ("https://127。0。0。1", "must lead to a public address"),
        ("https://localhost", "must lead to a public address"),
        ("https://LOCALHOST.", "must lead to a public address"),
        ("https://169.254.169.254/latest/meta-data", "must lead to a public address"),
        ("https://2130706433", "must lead to a public address"),
        ("https://0177.0.0.1", "must lead to a public address"),
        ("https://127.1", "must lead to a public address"),
        ("https://[::1]", "must lead to a public address"),
        ("https://[::ffff:10.0.0.1]", "must lead to a public address"),
        ("https://[fe80::1%25eth0]", "must lead to a public address"),
    ],
)
def test_other_urls_are_not(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}$"):
        parse_url(url, allow_loopback=False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/x", "http://localhost:80", "https://[::1]:1"])
def test_this_machine_is_fit_where_that_is_allowed(url: str) -> None:
    assert str(parse_url(url, allow_loopback=True).host)


@pytest.mark.parametrize("url", ["http://10.0.0.1:9000", "http://example.com", "https://2130706433"])
def test_allowing_this_machine_allows_nothing_else(url: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_url(url, allow_loopback=True)


async def test_every_address_of_a_name_must_pass() -> None:
    async def mixed(_host: str, _port: int) -> list[str]:
        return ["8.8.8.8", "10.0.0.1"]

    async def nothing(_host: str, _port: int) -> list[str]:
        return []

    with pytest.raises(BlockedError):
        await checked("example.com", 443, allow_loopback=True, lookup=mixed)
    with pytest.raises(OSError, match="no address"):
        await checked("example.com", 443, allow_loopback=True, lookup=nothing)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "localhost"])
async def test_what_the_system_reads_as_this_machine_is_found_out(host: str) -> None:
    with pytest.raises(BlockedError):
        await checked(host, 443, allow_loopback=False)
