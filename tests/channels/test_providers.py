"""Every adapter against a provider that speaks its wire: what comes of a message, and what the provider counts."""

import asyncio
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from aiosmtpd.smtp import Envelope

from channels import apns, fcm
from channels.base import Code, Later, Recovery, Refused, Taken, Unknown, key_id
from channels.http import Answer
from channels.verdicts import ACCOUNT_REFUSED, by_status
from core.embedded.ports import free_port
from server.simulator.providers.behaviour import Fate
from server.simulator.providers.mail import Mailboxes
from tests.support.provider_ground import AT_ONCE, Ground, outgoing, result, results, standing

KINDS = ["FCM", "APNS", "WEB_PUSH", "SMTP"]
NAMES = [f"one-{no}" for no in range(20)]
DEAD = {
    "FCM": Refused(Code.UNREGISTERED, dead_address=True),
    "APNS": Refused(Code.UNREGISTERED, dead_address=True),
    "WEB_PUSH": Refused(Code.UNREGISTERED, dead_address=True),
    "SMTP": Refused(Code.BOUNCED, dead_address=True),
}


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    async with standing(tmp_path) as made:
        yield made


@pytest.mark.parametrize("kind", KINDS)
async def test_a_batch_is_taken_each_once(ground: Ground, kind: str) -> None:
    channel = ground.channel(kind)
    assert channel.recovery is Recovery.BLIND
    assert {type(one) for one in await results(channel, ground.batch(kind, NAMES))} == {Taken}
    assert ground.counts(kind) == dict.fromkeys(NAMES, 1)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_provider_that_is_busy_says_when(ground: Ground, kind: str) -> None:
    ground.behave(busy=1.0, retry_after=7)
    expected = Later(Code.PROVIDER_ERROR) if kind == "SMTP" else Later(Code.RATE_LIMITED, 7.0)
    assert await results(ground.channel(kind), ground.batch(kind, NAMES)) == [expected] * 20
    assert ground.counts(kind) == {}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_provider_that_is_broken_has_not_taken_it(ground: Ground, kind: str) -> None:
    ground.behave(broken=1.0)
    assert await results(ground.channel(kind), ground.batch(kind, NAMES)) == [Later(Code.PROVIDER_ERROR)] * 20
    assert ground.counts(kind) == {}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_dead_address_is_told(ground: Ground, kind: str) -> None:
    ground.behave(dead=1.0)
    assert await results(ground.channel(kind), ground.batch(kind, NAMES)) == [DEAD[kind]] * 20
    assert ground.counts(kind) == {}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_taken_without_an_answer_is_unknown(ground: Ground, kind: str) -> None:
    channel = ground.channel(kind)
    ground.behave(lost=1.0)
    for name in ("a", "b"):
        assert await results(channel, ground.batch(kind, [name])) == [Unknown(Code.NO_ANSWER)]
    ground.behave()
    assert {type(one) for one in await results(channel, ground.batch(kind, ["c"]))} == {Taken}
    assert ground.counts(kind) == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize("kind", KINDS)
async def test_in_all_weathers_the_ledger_agrees(ground: Ground, kind: str) -> None:
    ground.behave(busy=0.1, broken=0.1, dead=0.1, lost=0.1, latency_ms=1)
    names = [f"n{no}" for no in range(60)]
    found = dict(zip(names, await results(ground.channel(kind), ground.batch(kind, names)), strict=True))
    counts = ground.counts(kind)
    assert {name for name, one in found.items() if isinstance(one, Taken)} <= set(counts)
    assert set(counts) <= {name for name, one in found.items() if isinstance(one, Taken | Unknown)}
    assert set(counts.values()) == {1}


@pytest.mark.parametrize("kind", ["FCM", "APNS", "SMTP"])
async def test_a_provider_that_is_away_has_got_nothing(ground: Ground, kind: str) -> None:
    url = f"http://127.0.0.1:{free_port(None)}"
    away = {"FCM": ground.fcm, "APNS": ground.apns, "SMTP": ground.email}[kind]
    channel = away(**{"url": url.replace("http", "smtp")} if kind == "SMTP" else {"base_url": url})
    assert await results(channel, ground.batch(kind, NAMES)) == [Later(Code.UNREACHABLE)] * 20


async def test_a_push_service_inside_is_never_asked(ground: Ground) -> None:
    inside = ground.running.credentials.subscription("https://10.0.0.1", "x")
    assert await result(ground.web_push(), outgoing(inside)) == Refused(Code.ADDRESS_BLOCKED)


async def test_a_mail_server_inside_is_never_asked(ground: Ground) -> None:
    found = await result(ground.email(url="smtp://10.0.0.1:25"), outgoing("ada@example.org"))
    assert found == Refused(Code.ADDRESS_BLOCKED)


@pytest.mark.parametrize("kind", ["FCM", "APNS", "WEB_PUSH"])
async def test_a_push_that_is_too_large_is_not_sent(ground: Ground, kind: str) -> None:
    (large,) = ground.batch(kind, ["a"], body="x" * 5_000)
    assert await result(ground.channel(kind), large) == Refused(Code.PAYLOAD_TOO_LARGE)
    assert ground.counts(kind) == {}


@pytest.mark.parametrize("kind", ["FCM", "APNS"])
async def test_a_stranger_is_not_let_in_which_is_no_word_on_the_message(ground: Ground, kind: str) -> None:
    other = await _other_keys(ground)
    channel = ground.fcm(private_key=other["fcm"]) if kind == "FCM" else ground.apns(private_key=other["apns"])
    assert await results(channel, ground.batch(kind, ["a", "b"])) == [ACCOUNT_REFUSED] * 2


async def _other_keys(ground: Ground) -> dict[str, str]:
    from server.simulator.providers import credentials  # noqa: PLC0415

    made = await asyncio.to_thread(credentials._made)
    return {"fcm": made.fcm, "apns": made.apns}


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("FCM", "malformed-1", Refused(Code.BAD_TOKEN, dead_address=True)),
        ("FCM", "foreign-1", Refused(Code.SENDER_MISMATCH)),
        ("APNS", "malformed-1", Refused(Code.BAD_TOKEN)),
        (
            "WEB_PUSH",
            '{"endpoint": "x", "keys": {"p256dh": "", "auth": ""}}',
            Refused(Code.BAD_TOKEN, dead_address=True),
        ),
        ("WEB_PUSH", "", Refused(Code.BAD_TOKEN, dead_address=True)),
        ("SMTP", "no address", Refused(Code.REJECTED)),
    ],
)
async def test_what_is_wrong_with_an_address(ground: Ground, kind: str, name: str, expected: Refused) -> None:
    address = name if kind in {"WEB_PUSH", "SMTP"} else ground.address(kind, name)
    assert await result(ground.channel(kind), outgoing(address)) == expected


async def test_a_project_that_is_not_ours_is_no_word_on_the_message(ground: Ground) -> None:
    assert await result(ground.fcm(project_id="another"), outgoing("a")) == ACCOUNT_REFUSED


async def test_another_topic_is_not_ours(ground: Ground) -> None:
    assert await result(ground.apns(topic="com.example.other"), outgoing("a")) == Refused(Code.SENDER_MISMATCH)


async def test_an_access_token_is_exchanged_for_once_and_again_when_it_is_refused(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, post = list[str](), ground.http.post

    async def watched(url: str, body: bytes, headers: dict[str, str]) -> Answer:
        asked.append(url.rpartition("/")[2])
        return await post(url, body, headers)

    monkeypatch.setattr(ground.http, "post", watched)
    channel = ground.fcm()
    await results(channel, ground.batch("FCM", NAMES))
    await results(channel, ground.batch("FCM", NAMES))
    assert asked.count("token") == 1
    channel._access._token = "-"
    assert {type(one) for one in await results(channel, ground.batch("FCM", NAMES))} == {Taken}
    assert asked.count("token") == 2
    assert ground.counts("FCM") == dict.fromkeys(NAMES, 3)


async def test_a_provider_token_that_is_too_old_is_made_anew(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = ground.apns()
    monkeypatch.setattr(apns.time, "time", lambda: 1_000_000_000)
    old = channel._token.current()
    monkeypatch.undo()
    assert {type(one) for one in await results(channel, ground.batch("APNS", NAMES))} == {Taken}
    assert channel._token.current() != old


async def test_apple_is_told_the_key_in_its_form(ground: Ground) -> None:
    one = outgoing("a")
    assert await result(ground.apns(), one) == Taken(str(key_id(one.key)))


async def test_a_bug_leaves_its_message_unknown_and_the_others_alone(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = ground.batch("FCM", ["a", "b"])
    whole = fcm._message
    monkeypatch.setattr(fcm, "_message", lambda one: whole(one) if one is batch[1] else 1 / 0)
    assert [type(one) for one in await results(ground.fcm(), batch)] == [Unknown, Taken]


async def test_no_more_go_at_once_than_is_set(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    there, most = set[str](), 0

    async def fate(address: str) -> Fate:
        nonlocal most
        there.add(address)
        most = max(most, len(there))
        await asyncio.sleep(0.01)
        there.discard(address)
        return Fate.TAKEN

    monkeypatch.setattr(ground.luck, "fate", fate)
    await results(ground.fcm(), ground.batch("FCM", NAMES))
    assert 1 < most <= AT_ONCE


async def test_an_email_says_how_to_unsubscribe(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    got = list[bytes]()
    monkeypatch.setattr("server.simulator.providers.mail.message_from_bytes", lambda raw_: got.append(raw_) or {})
    one = outgoing(
        "ada@example.org", title="Grüße", body="Schön <b>.\n\nNoch was.", unsubscribe_url="https://x.example/u?t=1"
    )
    assert isinstance(await result(ground.email(), one), Taken)
    mail = message_from_bytes(got[0], policy=default)
    assert isinstance(mail, EmailMessage)
    assert (mail["From"], mail["To"], mail["Subject"]) == ("Acme <hello@example.com>", "ada@example.org", "Grüße")
    assert mail["Message-ID"] == f"<{key_id(one.key)}@example.com>"
    assert mail["List-Unsubscribe"] == "<https://x.example/u?t=1>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    text, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert text.splitlines() == ["Schön <b>.", "", "Noch was.", "", "-- ", "Unsubscribe: https://x.example/u?t=1"]
    assert "<p>Schön &lt;b&gt;.</p><p>Noch was.</p>" in html


async def test_a_mail_server_that_hangs_up_after_some_is_called_again(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def some(self: Mailboxes, _server: object, _session: object, envelope: Envelope, by: str, _: object) -> str:
        self.mails = getattr(self, "mails", 0) + 1
        envelope.mail_from = by
        return "250 OK" if self.mails <= 3 else "421 4.7.0 enough for one connection"

    monkeypatch.setattr(Mailboxes, "handle_MAIL", some, raising=False)
    assert {type(one) for one in await results(ground.email(), ground.batch("SMTP", NAMES))} == {Taken}
    assert ground.counts("SMTP") == dict.fromkeys(NAMES, 1)


async def test_a_title_cannot_break_out_of_its_header(ground: Ground) -> None:
    one = outgoing("ada@example.org", title="Hello\r\nBcc: eve@example.org")
    assert await result(ground.email(), one) == Refused(Code.REJECTED)
    assert ground.counts("SMTP") == {}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (204, Taken("id")),
        (301, Refused(Code.REJECTED)),
        (400, Refused(Code.REJECTED)),
        (413, Refused(Code.PAYLOAD_TOO_LARGE)),
        (429, Later(Code.RATE_LIMITED, 3.0)),
        (500, Later(Code.PROVIDER_ERROR, 3.0)),
        (502, Unknown(Code.NO_ANSWER)),
        (503, Later(Code.PROVIDER_ERROR, 3.0)),
        (504, Unknown(Code.NO_ANSWER)),
    ],
)
def test_what_a_status_says(status: int, expected: object) -> None:
    assert by_status(Answer(status, {"Retry-After": "3"}), "id") == expected


def test_keys_become_the_same_uuid_always() -> None:
    assert str(key_id("b1:1")) == str(key_id("b1:1"))
    assert key_id("b1:1") != key_id("b1:2")
