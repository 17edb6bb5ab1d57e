"""The channels that workers send through, each with what it needs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from channels.apns import Apns, ApnsAccount
from channels.base import Channel, Outgoing
from channels.email import Email, EmailAccount
from channels.fcm import Fcm, FcmAccount
from channels.http import Http
from channels.in_app import InApp
from channels.web_push import WebPush, WebPushAccount
from core.config import config
from core.database import transaction
from domain import in_app_messages
from domain.channel_accounts import standing
from domain.in_app_messages import Draft
from models.channel_accounts import ChannelAccount, ChannelProvider

Fields = dict[str, Any]
RETIRE_SECONDS = 60.0
"""Longer than any request takes: a channel whose account has changed may still be sending."""


async def _store(batch: Sequence[Outgoing]) -> set[UUID]:
    """Write a batch of one app in one transaction."""
    drafts = [Draft(one.key, one.device_id, one.title, one.body, one.data) for one in batch if one.device_id]
    async with transaction() as session:
        return await in_app_messages.store(session, batch[0].app_id, drafts)


IN_APP = InApp(_store)


@cache
def http() -> Http:
    """The HTTP client of this process, whose workers share one event loop."""
    return Http()


def _fcm(settings: Fields, secrets: Fields) -> Channel:
    return Fcm(FcmAccount(**settings, **secrets), http(), config().sends_at_once)


def _apns(settings: Fields, secrets: Fields) -> Channel:
    return Apns(ApnsAccount(**settings, **secrets), config().sends_at_once)


def _web_push(settings: Fields, secrets: Fields) -> Channel:
    return WebPush(WebPushAccount(subject=settings["subject"], **secrets), http(), config().sends_at_once)


def _smtp(settings: Fields, secrets: Fields) -> Channel:
    return Email(EmailAccount(standing.smtp_url(settings, secrets), settings["sender"]))


_MAKERS: dict[ChannelProvider, Callable[[Fields, Fields], Channel]] = {
    ChannelProvider.FCM: _fcm,
    ChannelProvider.APNS: _apns,
    ChannelProvider.WEB_PUSH: _web_push,
    ChannelProvider.SMTP: _smtp,
}


@dataclass
class _Made:
    """The channels of this process by account, as of when each was changed; and those that have been replaced."""

    channels: dict[UUID, tuple[datetime, Channel]] = field(default_factory=dict)
    retired: list[tuple[float, Channel]] = field(default_factory=list)

    def of(self, account: ChannelAccount) -> Channel:
        """The channel of an account, made anew when the account has changed."""
        at, channel = self.channels.get(account.id, (None, None))
        if channel is not None and at == account.updated_at:
            return channel
        if channel is not None:
            self.retired.append((time.monotonic(), channel))
        made = _MAKERS[account.provider](account.settings, standing.secrets_of(account))
        self.channels[account.id] = account.updated_at, made
        return made

    async def close_retired(self) -> None:
        """End the connections of channels that were replaced a while ago."""
        until = time.monotonic() - RETIRE_SECONDS
        gone = [channel for at, channel in self.retired if at < until]
        self.retired = [(at, channel) for at, channel in self.retired if at >= until]
        for channel in gone:
            if isinstance(channel, Apns):
                await channel.close()


_MADE = _Made()


@dataclass(frozen=True)
class Line:
    """A channel of an app, and how many messages a second it may take at most; None is no limit."""

    channel: Channel
    account_id: UUID | None = None
    rate_per_second: int | None = None


IN_APP_LINE = Line(IN_APP)


async def lines(app_id: UUID) -> dict[ChannelProvider, Line]:
    """The channels that an app has accounts for, ready to send.

    Raises:
        Unavailable: the credentials of one do not open.
    """
    async with transaction() as session:
        accounts = await standing.for_app(session, app_id)
    await _MADE.close_retired()
    return {
        account.provider: Line(_MADE.of(account), account.id, account.rate_per_second)
        for account in accounts
        if account.enabled
    }
