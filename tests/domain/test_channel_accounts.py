"""Accounts at providers: what each takes, what is kept of it, and what is shown."""

import asyncio
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from core.config import config
from core.database import transaction
from core.errors import Invalid, NotFound
from core.ids import new_id
from domain import encryption
from domain.channel_accounts import control, standing
from domain.channel_accounts.providers import ApnsFields, FcmFields, Fields, SmtpFields, SmtpSecurity, WebPushFields
from models.audit import AuditEntry
from models.channel_accounts import ChannelAccount, ChannelProvider
from server.simulator.providers import credentials
from tests.support import factories
from tests.support.factories import Team

KEYS = credentials._made()
OTHERS = credentials._made()
FCM = FcmFields(KEYS.service_account())
APNS = ApnsFields("ABCDE12345", "KEYID12345", "com.example.app", KEYS.apns)
WEB_PUSH = WebPushFields("mailto:ops@example.com", KEYS.browser)
SMTP = SmtpFields("smtp.example.com", None, SmtpSecurity.TLS, "acme", "p@ss", "hello@example.com", "Acme")


async def put(team: Team, fields: Fields, **given: Any) -> ChannelAccount:
    asked = {"rate_per_second": None, "enabled": True} | given
    async with transaction() as session:
        return await control.set_account(session, factories.principal(team), fields, **asked)


async def all_of(team: Team) -> list[ChannelAccount]:
    async with transaction() as session:
        return list(await standing.listed(session, team.app_id))


@pytest.mark.parametrize(
    ("fields", "settings", "secrets"),
    [
        (
            FCM,
            {"project_id": "simulated", "client_email": credentials.EMAIL},
            {"private_key": KEYS.fcm, "private_key_id": credentials.KEY_ID},
        ),
        (
            APNS,
            {"team_id": "ABCDE12345", "key_id": "KEYID12345", "topic": "com.example.app", "sandbox": False},
            {"private_key": KEYS.apns},
        ),
        (
            WEB_PUSH,
            {
                "subject": "mailto:ops@example.com",
                "public_key": orjson.loads(KEYS.subscription("", ""))["keys"]["p256dh"],
            },
            {"private_key": KEYS.browser},
        ),
        (
            SMTP,
            {
                "host": "smtp.example.com",
                "port": 465,
                "security": "TLS",
                "username": "acme",
                "sender": "Acme <hello@example.com>",
            },
            {"username": "acme", "password": "p@ss"},
        ),
    ],
)
async def test_an_account_is_kept_in_two_parts(
    team: Team, fields: Fields, settings: dict[str, Any], secrets: dict[str, Any]
) -> None:
    await put(team, fields, rate_per_second=50)
    (row,) = await all_of(team)
    assert (row.settings, standing.secrets_of(row)) == (settings, secrets)
    assert (row.rate_per_second, row.enabled) == (50, True)
    assert (row.fingerprint is None) == (row.provider is ChannelProvider.SMTP)
    assert not any(str(one) in row.credentials for one in secrets.values())


async def test_a_new_account_takes_the_place_of_the_old(team: Team) -> None:
    old = await put(team, FCM)
    new = await put(team, FcmFields(OTHERS.service_account()), enabled=False)
    assert (new.id, new.created_at) == (old.id, old.created_at)
    assert new.updated_at > old.updated_at
    assert new.fingerprint != old.fingerprint
    assert standing.secrets_of(new)["private_key"] == OTHERS.fcm
    async with transaction() as session:
        assert await standing.for_app(session, team.app_id) == []


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (FCM, FcmFields(None)),
        (APNS, ApnsFields("ABCDE12345", "KEYID12345", "com.example.other", None, sandbox=True)),
        (WEB_PUSH, WebPushFields("https://example.com")),
        (SMTP, SmtpFields("smtp.example.com", 465, SmtpSecurity.TLS, "acme", None, "other@example.com")),
    ],
)
async def test_a_secret_that_is_left_out_stays(team: Team, first: Fields, then: Fields) -> None:
    old = await put(team, first)
    new = await put(team, then)
    assert standing.secrets_of(new) == standing.secrets_of(old)
    assert new.fingerprint == old.fingerprint


async def test_a_password_does_not_follow_to_another_server(team: Team) -> None:
    await put(team, SMTP)
    with pytest.raises(Invalid) as refused:
        await put(team, SmtpFields("smtp.evil.example", None, SmtpSecurity.TLS, "acme", None, "hello@example.com"))
    assert refused.value.field == "account.smtp.password"


async def test_a_key_for_browsers_is_made_where_none_is_given(team: Team) -> None:
    row = await put(team, WebPushFields("mailto:ops@example.com"))
    assert len(credentials.raw(row.settings["public_key"])) == 65
    assert len(credentials.raw(standing.secrets_of(row)["private_key"])) == 32


def smtp(**changed: Any) -> SmtpFields:
    return SmtpFields(**vars(SMTP) | changed)


def apns(**changed: Any) -> ApnsFields:
    return ApnsFields(**vars(APNS) | changed)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        (FcmFields(None), "account.fcm.serviceAccount"),
        (FcmFields("{"), "account.fcm.serviceAccount"),
        (FcmFields("[]"), "account.fcm.serviceAccount"),
        (FcmFields(KEYS.service_account().replace("simulated", "../other")), "account.fcm.serviceAccount"),
        (
            FcmFields(orjson.dumps(orjson.loads(KEYS.service_account()) | {"private_key": KEYS.apns}).decode()),
            "account.fcm.serviceAccount",
        ),
        (FcmFields(KEYS.service_account(), "https://10.0.0.1"), "account.fcm.baseUrl"),
        (FcmFields(KEYS.service_account(), "http://127.0.0.1:1"), "account.fcm.baseUrl"),
        (apns(team_id="short"), "account.apns.teamId"),
        (apns(key_id="lower12345"), "account.apns.keyId"),
        (apns(topic="com example"), "account.apns.topic"),
        (apns(private_key=None), "account.apns.privateKey"),
        (apns(private_key=KEYS.fcm), "account.apns.privateKey"),
        (apns(private_key="nonsense"), "account.apns.privateKey"),
        (WebPushFields("ops@example.com"), "account.webPush.subject"),
        (WebPushFields("mailto:ops@example.com", "AAAA!"), "account.webPush.privateKey"),
        (WebPushFields("mailto:ops@example.com", "_" * 43), "account.webPush.privateKey"),
        (smtp(host="127.0.0.1"), "account.smtp.host"),
        (smtp(host="10.0.0.1"), "account.smtp.host"),
        (smtp(host="localhost"), "account.smtp.host"),
        (smtp(host="user@example.com"), "account.smtp.host"),
        (smtp(host="example.com/x"), "account.smtp.host"),
        (smtp(port=70_000), "account.smtp.port"),
        (smtp(password=None), "account.smtp.password"),
        (smtp(from_address="nobody"), "account.smtp.fromAddress"),
        (smtp(from_name="Acme\nBcc: eve@example.com"), "account.smtp.fromName"),
    ],
)
async def test_what_is_wrong_is_named(team: Team, fields: Fields, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        await put(team, fields)
    assert refused.value.field == field
    assert await all_of(team) == []


@pytest.mark.parametrize("rate", [0, 10_001])
async def test_a_rate_has_bounds(team: Team, rate: int) -> None:
    with pytest.raises(Invalid) as refused:
        await put(team, SMTP, rate_per_second=rate)
    assert refused.value.field == "ratePerSecond"


async def test_a_simulator_is_for_development_on_this_machine(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = FcmFields(KEYS.service_account(), "http://127.0.0.1:9001/")
    monkeypatch.setenv("REPLYHQ_OUTBOUND_ALLOW_LOOPBACK", "true")
    config.cache_clear()
    assert (await put(team, fields)).settings["base_url"] == "http://127.0.0.1:9001"
    monkeypatch.setenv("REPLYHQ_ENVIRONMENT", "production")
    config.cache_clear()
    with pytest.raises(Invalid, match="for development"):
        await put(team, fields)
    monkeypatch.undo()
    config.cache_clear()


async def test_two_who_set_one_at_once_leave_one(team: Team) -> None:
    await asyncio.gather(*(put(team, SMTP) for _ in range(5)))
    assert len(await all_of(team)) == 1


async def test_what_is_removed_is_gone_and_of_others_nothing_is_known(team: Team) -> None:
    row, other = await put(team, SMTP), await factories.team()
    for stranger, id_ in ((other, row.id), (team, new_id())):
        async with transaction() as session:
            with pytest.raises(NotFound):
                await control.remove(session, factories.principal(stranger), id_)
    async with transaction() as session:
        await control.remove(session, factories.principal(team), row.id)
    assert await all_of(team) == []


async def test_the_audit_log_tells_of_the_change_without_the_secret(team: Team) -> None:
    row = await put(team, SMTP)
    own = sa.select(AuditEntry).where(AuditEntry.entity_id == row.id)
    async with transaction() as session:
        (entry,) = await session.scalars(own)
    assert entry.action == "channel_account.set"
    assert entry.after["settings"]["host"] == "smtp.example.com"
    assert "p@ss" not in str(entry.after)


def test_a_rotation_of_keys_finds_the_credentials() -> None:
    column, id_ = ChannelAccount.__table__.c.credentials, new_id()
    assert column in encryption.columns()
    assert standing.place(id_) == f"{column.table.name}.{column.name}:{id_}"


@pytest.mark.parametrize(
    ("user", "password", "url"),
    [
        ("acme", "p@ss:/", "smtps://acme:p%40ss%3A%2F@smtp.example.com:465"),
        (None, None, "smtps://smtp.example.com:465"),
    ],
)
def test_a_mail_server_as_a_url(user: str | None, password: str | None, url: str) -> None:
    settings = {"host": "smtp.example.com", "port": 465, "security": "TLS"}
    assert standing.smtp_url(settings, {"username": user, "password": password}) == url
