"""E-mails by SMTP, handed to a real server."""

import asyncio
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from channels import letter_files, smtp
from channels.letters import Delayed, Letter, Refused
from core.clock import now
from core.embedded.ports import free_port
from tests.support.mail_server import MailServer, certificate

WRITTEN = datetime(2026, 1, 24, 10, tzinfo=UTC)
LINK = "https://app.example.com/accept#token=" + "x" * 200


def letter(**fields: object) -> Letter:
    given = {
        "id": "0190",
        "sender": "ReplyHQ <no-reply@example.com>",
        "to": "ada@example.org",
        "subject": "Hello",
        "body": f"Open this:\n{LINK}\n",
        "written_at": WRITTEN,
    }
    return Letter(**(given | fields))


@pytest.fixture
def server() -> Iterator[MailServer]:
    made = MailServer()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that nobody vouches for, with its key."""
    folder, key, name = tmp_path_factory.mktemp("tls"), ec.generate_private_key(ec.SECP256R1()), NameOID.COMMON_NAME
    who = x509.Name([x509.NameAttribute(name, "127.0.0.1")])
    made = x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    made = made.not_valid_before(now() - timedelta(days=1)).not_valid_after(now() + timedelta(days=1))
    (folder / "cert").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    kind = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key").write_bytes(key.private_bytes(*kind))
    return folder


@pytest.fixture
def context(folder: Path) -> ssl.SSLContext:
    """What a server speaks TLS by."""
    return certificate(str(folder / "cert"), str(folder / "key"))


async def test_a_letter_arrives_as_it_was_written(server: MailServer) -> None:
    server.start()
    await smtp.send(letter(subject="Grüße", body=f"Schön.\n{LINK}\n"), server.url)
    (got,) = server.got
    assert server.to == [["ada@example.org"]]
    assert (got["From"], got["To"], got["Subject"]) == ("ReplyHQ <no-reply@example.com>", "ada@example.org", "Grüße")
    assert (got["Date"].datetime, got["Message-ID"]) == (WRITTEN, "<0190@example.com>")
    assert got["Auto-Submitted"] == "auto-generated"
    assert got.get_content_type() == "text/plain"
    assert got.get_content().splitlines() == ["Schön.", LINK]


@pytest.mark.parametrize(
    "part",
    [
        {"subject": "Hello\nBcc: eve@example.org"},
        {"subject": "Hello\rBcc: eve@example.org"},
        {"to": "ada@example.org\r\nBcc: eve@example.org"},
        {"to": "ada@example.org, eve@example.org"},
        {"to": "ada@example.org> RCPT TO:<eve@example.org"},
        {"to": ""},
        {"sender": "ReplyHQ <no-reply@example.com>\nBcc: eve@example.org"},
        {"sender": "nobody"},
    ],
)
async def test_nothing_breaks_out_of_its_header(server: MailServer, part: dict[str, str]) -> None:
    server.start()
    with pytest.raises(Refused, match="It cannot be written"):
        await smtp.send(letter(**part), server.url)
    assert server.got == []


@pytest.mark.parametrize(("code", "failure"), [(550, Refused), (554, Refused), (450, Delayed), (421, Delayed)])
async def test_what_the_server_says_of_the_recipient_counts(
    server: MailServer, code: int, failure: type[Exception]
) -> None:
    server.answer_to = lambda _: f"{code} No such mailbox"
    server.start()
    with pytest.raises(failure, match=f"{code} No such mailbox"):
        await smtp.send(letter(), server.url)


@pytest.mark.parametrize(("code", "failure"), [(554, Refused), (451, Delayed)])
async def test_what_the_server_says_of_the_letter_counts(
    server: MailServer, code: int, failure: type[Exception]
) -> None:
    server.answer = lambda _: f"{code} Not this"
    server.start()
    with pytest.raises(failure, match=f"{code} Not this"):
        await smtp.send(letter(), server.url)


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
async def test_who_we_are_is_told_with_what_the_url_has_encoded(server: MailServer) -> None:
    server.start(authenticator=server, auth_require_tls=False, auth_required=True)
    host = server.url.removeprefix("smtp://")
    await smtp.send(letter(), f"smtp://me%40example.com:p%40ss%3A%2Fword@{host}")
    assert server.logins == [("me@example.com", "p@ss:/word")]
    assert len(server.got) == 1


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
async def test_a_password_that_is_wrong_is_no_word_on_the_letter(server: MailServer) -> None:
    server.start(authenticator=server, auth_require_tls=False, auth_required=True)
    with pytest.raises(Delayed) as delayed:
        await smtp.send(letter(), server.url.replace("//", "//me:guess-canary@"))
    assert "canary" not in str(delayed.value)
    with pytest.raises(Delayed):
        await smtp.send(letter(), server.url)
    assert server.got == []


async def test_a_server_that_is_not_there_delays() -> None:
    with pytest.raises(Delayed):
        await smtp.send(letter(), f"smtp://127.0.0.1:{free_port(None)}")


async def test_a_server_that_says_nothing_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "SECONDS", 0.2)
    left = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        left.set()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        with pytest.raises(Delayed):
            await smtp.send(letter(), f"smtp://127.0.0.1:{silent.sockets[0].getsockname()[1]}")
        await asyncio.wait_for(left.wait(), 10)


TLS = [("smtp", "tls_context"), ("smtps", "ssl_context")]


@pytest.mark.parametrize(("scheme", "option"), TLS)
async def test_a_certificate_that_nobody_vouches_for_is_not_taken(
    server: MailServer, context: ssl.SSLContext, scheme: str, option: str
) -> None:
    server.start(**{option: context})
    with pytest.raises(Delayed, match="certificate"):
        await smtp.send(letter(), server.url.replace("smtp:", f"{scheme}:"))
    assert server.got == []


@pytest.mark.parametrize(("scheme", "option"), TLS)
async def test_what_the_server_offers_is_encrypted(
    server: MailServer, context: ssl.SSLContext, folder: Path, scheme: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "cert"))
    server.start(**{option: context}, require_starttls=scheme == "smtp")
    await smtp.send(letter(), server.url.replace("smtp:", f"{scheme}:"))
    assert len(server.got) == 1


async def test_a_server_that_cannot_encrypt_is_left(server: MailServer) -> None:
    server.start()
    with pytest.raises(Delayed):
        await smtp.send(letter(), server.url.replace("smtp:", "smtps:"))
    assert server.got == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("smtp://mail.example.com", {"port": 587, "use_tls": False, "start_tls": True}),
        ("smtp://mail.example.com:25", {"port": 25, "use_tls": False, "start_tls": True}),
        ("smtps://mail.example.com", {"port": 465, "use_tls": True, "start_tls": False}),
        ("smtp://10.0.0.1", {"hostname": "10.0.0.1", "start_tls": True}),
        ("smtp://localhost.example.com", {"start_tls": True}),
        ("smtp://localhost:1025", {"port": 1025, "start_tls": None}),
        ("smtp://[::1]:1025", {"hostname": "::1", "start_tls": None}),
    ],
)
def test_only_on_this_machine_a_letter_goes_without_encryption(url: str, told: dict[str, object]) -> None:
    assert smtp.options(url) | told == smtp.options(url)


@pytest.mark.parametrize(
    "url", ["mail.example.com", "http://mail.example.com", "smtp://", "smtp://host:port", "smtp://[::1"]
)
async def test_a_url_that_is_none_is_told_without_what_it_holds(url: str) -> None:
    with pytest.raises(Delayed) as delayed:
        await smtp.send(letter(), url)
    assert str(delayed.value) == smtp.WRONG_URL


async def test_a_file_is_for_this_user_alone_and_the_same_letter_is_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "mails"
    path = await letter_files.write(letter(), folder)
    assert await letter_files.write(letter(), folder) == path
    assert [one.name for one in folder.iterdir()] == ["20260124T100000-0190.eml"]
    assert (folder.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)
    assert LINK in path.read_text()
    assert message_from_bytes(path.read_bytes(), policy=default)["To"] == "ada@example.org"
