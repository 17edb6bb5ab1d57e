"""The channels of an app as workers have them: from its accounts, made once, made anew when an account changes."""

from pathlib import Path

import pytest

from channels.apns import Apns
from channels.base import Code, Recovery, Refused, Taken
from channels.email import Email
from channels.fcm import Fcm
from channels.web_push import WebPush
from core.config import config
from core.database import transaction
from domain.channel_accounts import control
from domain.channel_accounts.providers import ApnsFields, FcmFields, Fields, SmtpFields, SmtpSecurity, WebPushFields
from jobs import channels
from jobs.channels import IN_APP, lines
from models.channel_accounts import ChannelProvider
from server.simulator.providers.running import Running
from tests.support import factories
from tests.support.factories import Team
from tests.support.provider_ground import outgoing, result, standing

KINDS = {
    ChannelProvider.FCM: Fcm,
    ChannelProvider.APNS: Apns,
    ChannelProvider.WEB_PUSH: WebPush,
    ChannelProvider.SMTP: Email,
}


async def put(team: Team, fields: Fields, *, enabled: bool = True) -> None:
    async with transaction() as session:
        principal = factories.principal(team)
        await control.set_account(session, principal, fields, rate_per_second=None, enabled=enabled)


def accounts(running: Running) -> list[Fields]:
    given = running.accounts()
    apns, mail = given["apns"]["account"]["apns"], given["smtp"]["account"]["smtp"]
    return [
        FcmFields(running.credentials.service_account(), running.http_url),
        ApnsFields(apns["teamId"], apns["keyId"], apns["topic"], apns["privateKey"], base_url=running.apns_url),
        WebPushFields("mailto:ops@example.com", running.credentials.browser),
        SmtpFields(mail["host"], mail["port"], SmtpSecurity.STARTTLS, None, None, mail["fromAddress"]),
    ]


async def test_an_app_sends_through_its_accounts(team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLYHQ_OUTBOUND_ALLOW_LOOPBACK", "true")
    config.cache_clear()
    await channels.http().close()  # of other tests
    channels.http.cache_clear()
    async with standing(tmp_path) as ground:
        for fields in accounts(ground.running):
            await put(team, fields)
        made = {provider: line.channel for provider, line in (await lines(team.app_id)).items()}
        assert {provider: type(channel) for provider, channel in made.items()} == KINDS
        for provider, channel in made.items():
            address = ground.address(provider.value, "one")
            assert isinstance(await result(channel, outgoing(address)), Taken)
            assert ground.counts(provider.value) == {"one": 1}
        await made[ChannelProvider.APNS].close()
    await channels.http().close()
    channels.http.cache_clear()
    monkeypatch.undo()
    config.cache_clear()


async def test_channels_are_made_once_and_anew_when_an_account_changes(team: Team) -> None:
    assert await lines(team.app_id) == {}
    web, other = WebPushFields("mailto:ops@example.com"), WebPushFields("mailto:dev@example.com")
    await put(team, web)
    first = (await lines(team.app_id))[ChannelProvider.WEB_PUSH].channel
    assert (await lines(team.app_id))[ChannelProvider.WEB_PUSH].channel is first
    await put(team, other)
    assert (await lines(team.app_id))[ChannelProvider.WEB_PUSH].channel is not first
    await put(team, other, enabled=False)
    assert await lines(team.app_id) == {}


async def test_in_app_may_be_repeated_and_knows_who_is_gone(team: Team) -> None:
    (device_id,) = await factories.contacts(team.app_id, 1)
    there, gone = (outgoing("", app_id=team.app_id, device_id=one) for one in (device_id, team.user_id))
    assert IN_APP.recovery is Recovery.REPEAT
    for _ in range(2):
        found = {one.key: one.result for one in await IN_APP.send([there, gone])}
        assert found == {there.key: Taken(), gone.key: Refused(Code.DEVICE_GONE, dead_address=True)}
