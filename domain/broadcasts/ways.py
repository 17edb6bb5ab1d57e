"""By which channels a broadcast goes, and whether the app has set them up."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Invalid
from domain.channel_accounts import standing
from models.broadcasts import Broadcast
from models.channel_accounts import ChannelProvider
from models.channels import ChannelKind
from models.devices import Platform

OFFERED = (ChannelKind.IN_APP, ChannelKind.PUSH, ChannelKind.EMAIL)
PROVIDERS = {
    ChannelKind.PUSH: frozenset({ChannelProvider.FCM, ChannelProvider.APNS, ChannelProvider.WEB_PUSH}),
    ChannelKind.EMAIL: frozenset({ChannelProvider.SMTP}),
}
_BY_PLATFORM = {
    Platform.IOS: ChannelProvider.APNS,
    Platform.ANDROID: ChannelProvider.FCM,
    Platform.WEB: ChannelProvider.WEB_PUSH,
}


def provider(channel: ChannelKind, platform: Platform | None) -> ChannelProvider | None:
    """Who carries a message by `channel` to a device of `platform`; None when we do so ourselves."""
    if channel is ChannelKind.EMAIL:
        return ChannelProvider.SMTP
    return _BY_PLATFORM.get(platform) if channel is ChannelKind.PUSH and platform else None


def clean(channels: Sequence[ChannelKind]) -> list[str]:
    """The channels as they are stored: each once, in their order.

    Raises:
        Invalid: there is none, or one that broadcasts do not go by.
    """
    named = list(dict.fromkeys(channels))
    if not named or not set(named) <= set(OFFERED):
        raise Invalid(f"channels must name one or more of {', '.join(OFFERED)}.", field="options.channels")
    return [channel.value for channel in named]


async def require_set_up(session: AsyncSession, broadcast: Broadcast) -> None:
    """Refuse a broadcast that would go by a channel without a provider, before anything is queued.

    Raises:
        Invalid: names the channel.
    """
    accounts = await standing.for_app(session, broadcast.app_id)
    there = {account.provider for account in accounts if account.enabled}
    for channel in broadcast.channels:
        needed = PROVIDERS.get(ChannelKind(channel), frozenset[ChannelProvider]())
        if needed and not needed & there:
            one_of = " or ".join(sorted(needed))
            raise Invalid(
                f"{channel} is not set up: give the app's {one_of} account with setChannelAccount.", field="id"
            )
