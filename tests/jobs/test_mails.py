"""E-mails of the product: each arrives, whatever breaks, and leaves nothing secret behind."""

import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog

from core.clock import now
from core.config import config
from core.database import transaction
from core.embedded.ports import free_port
from core.encryption import new_key
from core.redaction import redact
from domain import mails
from jobs import mails as sender
from models.mails import Mail, MailStatus
from tests.support import processes
from tests.support.mail_server import TAKEN, MailServer
from tests.support.plans import explained
from tests.support.processes import Process
from tests.support.waiting import until

BODY = "Open https://app.example.com/accept#token=canary\n"


@pytest.fixture(autouse=True)
async def none_waits(database: None) -> AsyncIterator[None]:
    """Other tests leave mails."""
    await set_all(due_at=None)
    yield
    await set_all(due_at=None)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A mail server, and this process as a worker that knows it."""
    made = MailServer()
    made.start()
    use(monkeypatch, made.url)
    yield made
    made.stop()
    config.cache_clear()


def use(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("REPLYHQ_SMTP_URL", url)
    config.cache_clear()


async def set_all(*conditions: sa.ColumnElement[bool], **values: Any) -> None:
    async with transaction() as session:
        await session.execute(sa.update(Mail).where(*conditions).values(**values))


async def queued(**fields: str) -> Mail:
    async with transaction() as session:
        given = {"to": "ada@example.org", "subject": "Hello", "body": BODY} | fields
        return mails.queue(session, **given)


async def read(mail: Mail) -> Mail:
    async with transaction() as session:
        return await session.get_one(Mail, mail.id)


async def let_pass(mail: Mail) -> None:
    """The time until it is due, or until the worker that has it counts as dead."""
    at = now() - timedelta(seconds=1)
    await set_all(Mail.id == mail.id, due_at=at, lease_until=at)


async def test_a_mail_arrives_once_and_what_it_says_is_forgotten(server: MailServer) -> None:
    mail = await queued()
    assert "canary" not in (mail.body or "")
    await sender.send_due()
    await sender.send_due()
    (got,) = server.got
    assert server.to == [["ada@example.org"]]
    assert (got["To"], got["Subject"]) == ("ada@example.org", "Hello")
    assert got["From"] == config().mail_from
    assert got["Message-ID"] == f"<{mail.id}@localhost>"
    assert got.get_content().strip() == BODY.strip()
    row = await read(mail)
    assert (row.status, row.attempts, row.body, row.due_at, row.error) == (MailStatus.SENT, 1, None, None, None)
    assert row.sent_at is not None


async def test_a_mail_that_is_not_taken_now_waits(server: MailServer) -> None:
    mail = await queued()
    server.answer = lambda _: "451 Later"
    before = now()
    await sender.send_due()
    row = await read(mail)
    assert (row.status, row.attempts, row.error) == (MailStatus.PENDING, 1, "451 Later")
    assert before + mails.WAITS[0] <= row.due_at <= now() + mails.WAITS[0]
    server.answer = lambda _: TAKEN
    await sender.send_due()
    assert server.got == []
    await let_pass(mail)
    await sender.send_due()
    assert [one["Message-ID"] for one in server.got] == [f"<{mail.id}@localhost>"]
    assert ((await read(mail)).status, (await read(mail)).error) == (MailStatus.SENT, None)


async def test_a_mail_is_given_up_after_five_tries(monkeypatch: pytest.MonkeyPatch, server: MailServer) -> None:
    use(monkeypatch, f"smtp://127.0.0.1:{free_port(None)}")
    mail, waited = await queued(), []
    for _ in range(5):
        at = now()
        await sender.send_due()
        row = await read(mail)
        waited.append(row.due_at and round((row.due_at - at) / timedelta(minutes=1)))
        await set_all(Mail.id == mail.id, Mail.due_at.is_not(None), due_at=now())
    assert waited == [1, 5, 15, 60, None]
    assert (row.status, row.attempts, row.body) == (MailStatus.FAILED, 5, None)
    assert "127.0.0.1" in row.error


@pytest.mark.parametrize("code", [550, 554])
async def test_a_mail_that_is_never_taken_is_given_up_at_once(server: MailServer, code: int) -> None:
    mail = await queued()
    server.answer = lambda _: f"{code} No"
    await sender.send_due()
    row = await read(mail)
    assert (row.status, row.body, row.due_at, row.error) == (MailStatus.FAILED, None, None, f"{code} No")


async def test_a_subject_of_two_lines_is_given_up_and_the_next_mail_goes(server: MailServer) -> None:
    mail = await queued(subject="Hello\nBcc: eve@example.org")
    other = await queued()
    await sender.send_due()
    await sender.send_due()
    assert ((await read(mail)).status, (await read(other)).status) == (MailStatus.FAILED, MailStatus.SENT)
    assert server.to == [["ada@example.org"]]


async def test_a_mail_whose_key_is_not_there_waits_for_it(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    mail = await queued()
    with monkeypatch.context() as patch:
        patch.setenv("REPLYHQ_ENCRYPTION_KEYS", f"other:{new_key()}")
        config.cache_clear()
        await sender.send_due()
    config.cache_clear()
    assert (await read(mail)).error.startswith("A secret needs the encryption key `test`")
    await let_pass(mail)
    await sender.send_due()
    assert (await read(mail)).status is MailStatus.SENT


async def test_in_production_a_mail_never_becomes_a_file(
    server: MailServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REPLYHQ_ENVIRONMENT", "production")
    monkeypatch.setenv("REPLYHQ_STATE_DIR", str(tmp_path))
    use(monkeypatch, "")
    mail = await queued()
    await sender.send_due()
    assert (await read(mail)).error == "REPLYHQ_SMTP_URL is missing."
    assert list(tmp_path.iterdir()) == []


async def test_two_are_in_hand_at_most() -> None:
    """A mail server that hangs holds two threads, not all."""
    for _ in range(3):
        await queued()
    async with transaction() as session:
        taken = [await mails.claim(session) for _ in range(3)]
    assert [mail is not None for mail in taken] == [True, True, False]
    async with transaction() as session:
        await mails.sent(session, taken[0])
        assert await mails.claim(session) is not None


async def test_the_word_of_who_has_lost_a_mail_does_not_count() -> None:
    mail = await queued()
    async with transaction() as session:
        first = await mails.claim(session)
    await let_pass(mail)
    async with transaction() as session:
        second = await mails.claim(session)
        await mails.refused(session, first, "late")
    assert second.id == first.id == mail.id
    assert (await read(mail)).status is MailStatus.PENDING
    async with transaction() as session:
        await mails.sent(session, second)
        await mails.delayed(session, second, "late")
    assert ((await read(mail)).status, (await read(mail)).due_at) == (MailStatus.SENT, None)


async def test_a_mail_that_kills_its_worker_is_given_up() -> None:
    mail = await queued()
    for _ in range(5):
        async with transaction() as session:
            assert await mails.claim(session) is not None
        await let_pass(mail)
    async with transaction() as session:
        assert await mails.claim(session) is None
    row = await read(mail)
    assert (row.status, row.attempts, row.body, row.error) == (MailStatus.FAILED, 5, None, mails.DIED)


async def test_due_mails_are_found_by_index() -> None:
    due = sa.select(Mail.id).where(Mail.due_at <= sa.func.now()).order_by(Mail.due_at).limit(1)
    assert "ix_mails_due" in await explained(due)


@pytest.fixture
def clock() -> Iterator[Process]:
    process = processes.clock()
    process.start()
    yield process
    process.stop()


async def status(mail: Mail) -> MailStatus:
    return (await read(mail)).status


async def test_a_worker_killed_after_sending_leaves_it_to_the_next(server: MailServer, clock: Process) -> None:
    """The server has the mail, and the worker dies before it hears so: it comes again, and can be told as the same."""
    heard, killed, ids = threading.Event(), threading.Event(), []

    def answer(envelope: Any) -> str:
        if envelope.rcpt_tos != ["killed@example.org"]:
            return TAKEN  # a mail that another test has left
        ids.append(message_from_bytes(envelope.content)["Message-ID"])
        is_first = not heard.is_set()
        heard.set()
        if is_first:
            killed.wait(20)
        return "421 Too late" if is_first else TAKEN

    server.answer = answer
    worker = processes.worker(REPLYHQ_SMTP_URL=server.url)
    worker.start()
    mail = await queued(to="killed@example.org")
    await until(lambda: _is_set(heard))
    worker.kill()
    killed.set()
    assert await status(mail) is MailStatus.PENDING
    await let_pass(mail)
    worker.start()
    await until(lambda: status(mail), lambda seen: seen is MailStatus.SENT)
    worker.stop()
    assert ids == [f"<{mail.id}@localhost>"] * 2


async def _is_set(event: threading.Event) -> bool:
    return event.is_set()


async def test_without_a_mail_server_a_mail_becomes_a_file(clock: Process, tmp_path: Path) -> None:
    worker = processes.worker(REPLYHQ_SMTP_URL="", REPLYHQ_STATE_DIR=str(tmp_path))
    worker.start()
    mail = await queued()
    await until(lambda: status(mail), lambda seen: seen is MailStatus.SENT)
    worker.stop()
    (path,) = (tmp_path / "mails").iterdir()
    assert path.name == f"{mail.created_at:%Y%m%dT%H%M%S}-{mail.id}.eml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert BODY.strip() in path.read_text()
    assert (await read(mail)).body is None


async def test_the_log_shows_the_link_of_a_mail_in_development_without_a_mail_server_alone(
    server: MailServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REPLYHQ_STATE_DIR", str(tmp_path))
    links = []
    for url, environment in ((server.url, "development"), ("", "production"), ("", "development")):
        monkeypatch.setenv("REPLYHQ_ENVIRONMENT", environment)
        use(monkeypatch, url)
        await queued()
        with structlog.testing.capture_logs() as logs:
            await sender.send_due()
        links.append([redact(None, "info", log).get("links") for log in logs if "links" in log])
        assert "canary" not in str([log for log in logs if "links" not in log])
        await set_all(due_at=None)
    assert links == [[], [], [["https://app.example.com/accept#token=canary"]]]
