"""HTTP to where others have chosen, over real sockets; the only listener is on this machine."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import format_datetime

import pytest

from channels import http as guarded
from channels.http import Answer, Http, LostError, NotSentError, RefusedUrlError, retry_after
from core.clock import now
from core.embedded.ports import free_port

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Listener:
    """Answers every request by `talk`; counts connections and keeps the requests."""

    def __init__(self, talk: Talk) -> None:
        self.talk, self.requests, self.connections = talk, list[bytes](), 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.requests.append(head)
                await self.talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def says(*parts: bytes, pause: float = 0.0) -> Talk:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return talk


async def hangs_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@asynccontextmanager
async def listening(talk: Talk, **options: ssl.SSLContext) -> AsyncIterator[tuple[Listener, str]]:
    listener = Listener(talk)
    server = await asyncio.start_server(listener, "127.0.0.1", 0, **options)
    port = server.sockets[0].getsockname()[1]
    yield listener, f"http://127.0.0.1:{port}/x"
    server.close()


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    """A client that may reach this machine."""
    made = Http(allow_loopback=True)
    yield made
    await made.close()


async def test_a_request_goes_as_it_is_and_the_answer_comes_back(http: Http) -> None:
    async with listening(says(OK)) as (listener, url):
        answer = await http.post(f"{url}?a=%20", b"", {"X-Own": "1"})
    head = listener.requests[0].decode()
    assert (answer.status, answer.body) == (200, b"ok")
    assert head.startswith("POST /x?a=%20 HTTP/1.1\r\n")
    assert "X-Own: 1\r\n" in head
    assert "User-Agent: ReplyHQ\r\n" in head
    assert "Accept-Encoding: identity\r\n" in head


async def test_connections_are_used_again(http: Http) -> None:
    async with listening(says(OK)) as (listener, url):
        for _ in range(3):
            await http.post(url, b"", {})
        assert (listener.connections, len(listener.requests)) == (1, 3)


async def test_a_redirect_is_not_followed(http: Http) -> None:
    async with listening(says(OK)) as (other, target):
        moved = f"HTTP/1.1 307 Moved\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
        async with listening(says(moved)) as (_, url):
            assert (await http.post(url, b"", {})).status == 307
        assert other.connections == 0


async def test_of_a_long_answer_the_beginning_is_kept(http: Http) -> None:
    parts = [b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n", *[b"x" * 65536] * 160]
    async with listening(says(*parts)) as (_, url):
        answer = await http.post(url, b"", {})
    assert (answer.status, len(answer.body)) == (200, 64 * 1024)


async def test_what_is_compressed_stays_so(http: Http) -> None:
    said = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x00"
    async with listening(says(said)) as (_, url):
        assert (await http.post(url, b"", {})).body == b"\x1f\x8b\x00"


async def test_a_body_that_drips_ends_with_the_time_and_its_status_counts(
    http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "SECONDS", 0.3)
    drip = [b"HTTP/1.1 202 OK\r\nContent-Length: 100\r\n\r\n", *[b"x"] * 100]
    async with asyncio.timeout(5), listening(says(*drip, pause=0.05)) as (_, url):
        answer = await http.post(url, b"", {})
    assert answer.status == 202
    assert 0 < len(answer.body) < 100


@pytest.mark.parametrize("talk", [hangs_up, says(b"HTTP/1.1 200 OK\r\nX-"), says(b"nonsense\r\n\r\n")])
async def test_a_request_without_an_answer_is_lost(http: Http, talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "SECONDS", 0.3)
    async with listening(talk) as (_, url):
        with pytest.raises(LostError):
            await http.post(url, b"{}", {})


async def test_a_server_that_is_not_there_got_nothing(http: Http) -> None:
    with pytest.raises(NotSentError):
        await http.post(f"http://127.0.0.1:{free_port(None)}", b"", {})


async def test_a_server_without_tls_got_nothing(http: Http) -> None:
    async with listening(says(OK)) as (listener, url):
        with pytest.raises(NotSentError):
            await http.post(url.replace("http:", "https:"), b"", {})
        assert listener.requests == []


async def test_a_connection_that_takes_too_long_got_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "CONNECT_SECONDS", 0.1)

    async def slow(_host: str, _port: int) -> list[str]:
        await asyncio.sleep(5)
        return []

    http = Http(allow_loopback=True, lookup=slow)
    with pytest.raises(NotSentError):
        await http.post("https://slow.example.com", b"", {})
    await http.close()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::ffff:7f00:1]"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_this_machine_is_not_reached_by_any_of_its_names(scheme: str, host: str) -> None:
    http = Http(allow_loopback=False)
    async with listening(says(OK)) as (listener, url):
        port = url.split(":")[2].split("/")[0]
        for at in (f":{port}", ":8443", ""):
            with pytest.raises(RefusedUrlError):
                await http.post(f"{scheme}://{host}{at}/", b"", {})
        assert listener.connections == 0
    await http.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:10.0.0.1"])
async def test_a_name_that_leads_inside_is_refused_also_beside_public_addresses(address: str) -> None:
    async def lookup(_host: str, _port: int) -> list[str]:
        return ["8.8.8.8", address]

    http = Http(allow_loopback=False, lookup=lookup)
    with pytest.raises(RefusedUrlError):
        await http.post("https://example.com/", b"", {})
    await http.close()


async def test_a_name_that_changes_its_mind_is_looked_up_once_and_that_is_connected_to() -> None:
    asked = list[str]()

    async def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    http = Http(allow_loopback=True, lookup=rebinding)
    async with listening(says(OK)) as (listener, url):
        port = int(url.split(":")[2].split("/")[0])
        with pytest.raises(ValueError, match="https"):  # by its name it is not this machine
            guarded.parse_url(f"http://rebinding.example:{port}/")
        with pytest.raises(NotSentError):  # it speaks no TLS, but it was this one that was connected to
            await http.post("https://rebinding.example:8443/", b"", {})
        assert asked == ["rebinding.example"]
        with pytest.raises(RefusedUrlError):
            await http.post("https://rebinding.example:8443/", b"", {})
        assert (asked, listener.requests) == (["rebinding.example"] * 2, [])
    await http.close()


async def test_no_proxy_of_the_environment_is_used(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port(None)}")
    async with listening(says(OK)) as (_, url):
        assert (await http.post(url, b"", {})).status == 200


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7.0), ("0", 0.0), ("999999", 86_400.0), ("", None), ("soon", None), ("-1", None), ("9" * 400, 86_400.0)],
)
def test_retry_after_in_seconds(said: str, seconds: float | None) -> None:
    assert retry_after(Answer(429, {"Retry-After": said})) == seconds


def test_retry_after_as_a_date() -> None:
    at = now().replace(microsecond=0)
    later = retry_after(Answer(429, {"Retry-After": format_datetime(at + timedelta(seconds=90), usegmt=True)}))
    assert 85 < (later or 0) <= 90
    assert retry_after(Answer(429, {"Retry-After": format_datetime(at - timedelta(days=1), usegmt=True)})) == 0.0
