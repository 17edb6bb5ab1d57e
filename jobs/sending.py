"""A micro-batch on its way: each message by its channel, all channels at once; and what came of each."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import structlog

from channels.base import Channel, Code, Later, Outcome, Outgoing, Recovery, Refused, Taken, Unknown
from core import ratelimit
from core.clock import now
from core.errors import Unavailable
from core.ratelimit import Limit
from domain.broadcasts import ways
from domain.broadcasts.deciding import Send
from domain.broadcasts.results import Result
from jobs.channels import IN_APP_LINE, Line, lines
from models.broadcasts import RecipientStatus
from models.channel_accounts import ChannelProvider

log = structlog.get_logger(__name__)
NOT_SET_UP = "NOT_SET_UP"
RATE_LIMITED = "RATE_LIMITED"
UNAVAILABLE = "UNAVAILABLE"
ACCOUNTS_AWAY = timedelta(seconds=15)
"""How long a micro-batch waits when the accounts cannot be read, or their credentials do not open."""


class Sent(NamedTuple):
    """What came of one message; and a device with its push token, when the provider calls that dead."""

    result: Result
    dead_token: tuple[UUID, str] | None = None


async def send(app_id: UUID, sends: Sequence[Send]) -> list[Sent]:
    """Send all of a micro-batch. Without its accounts nothing was sent yet, so it waits."""
    groups: defaultdict[Line | None, list[Send]] = defaultdict(list)
    try:
        known = await lines(app_id) if any(_provider(one) for one in sends) else {}
    except Unavailable:
        until = now() + ACCOUNTS_AWAY
        return [Sent(Result(one.seq, RecipientStatus.DEFERRED, UNAVAILABLE, until)) for one in sends]
    for one in sends:
        provider = _provider(one)
        groups[known.get(provider) if provider else IN_APP_LINE].append(one)
    parts = await asyncio.gather(*(_send_group(app_id, line, group) for line, group in groups.items()))
    return [sent for part in parts for sent in part]


def _provider(one: Send) -> ChannelProvider | None:
    return ways.provider(one.channel, one.platform)


async def _send_group(app_id: UUID, line: Line | None, group: Sequence[Send]) -> list[Sent]:
    if line is None:
        return [Sent(Result(one.seq, RecipientStatus.FAILED, NOT_SET_UP, channel=one.channel)) for one in group]
    if wait := await _wait(line, len(group)):
        until = now() + timedelta(seconds=wait)
        return [Sent(Result(one.seq, RecipientStatus.DEFERRED, RATE_LIMITED, until)) for one in group]
    by_key = {one.key: one for one in group}
    outcomes = await _handed_over(line.channel, [_outgoing(app_id, one) for one in group])
    return [_sent(by_key[outcome.key], outcome) for outcome in outcomes]


async def _handed_over(channel: Channel, group: Sequence[Outgoing]) -> Sequence[Outcome]:
    """What a channel says. Should it break, what the others say counts all the same.

    Where a send may be repeated, nothing was said; elsewhere nobody knows.
    """
    try:
        return await channel.send(group)
    except Exception as error:
        if channel.recovery is Recovery.BLIND:
            log.exception("channel broke", channel=type(channel).__name__)
            return [Outcome(one.key, Unknown(Code.CRASHED)) for one in group]
        if isinstance(error, Unavailable):
            return []
        raise


async def _wait(line: Line, count: int) -> float:
    """Seconds until the provider's speed limit, which all workers share, has room for `count` messages; 0 for now."""
    if line.rate_per_second is None:
        return 0.0
    most = max(count, line.rate_per_second)
    return (await ratelimit.spend(Limit(f"channel:{line.account_id}", line.rate_per_second, 1.0, most, count))).wait


def _outgoing(app_id: UUID, one: Send) -> Outgoing:
    content = one.content
    return Outgoing(
        key=one.key,
        app_id=app_id,
        device_id=one.device_id,
        contact_id=one.contact_id,
        address=one.address or "",
        title=content.title,
        body=content.body,
        data=content.data,
        unsubscribe_url=content.unsubscribe_url,
        picture_url=content.picture_url,
    )


def _sent(one: Send, outcome: Outcome) -> Sent:
    """A provider's word as a result of the recipient."""
    result = outcome.result
    match result:
        case Taken(provider_id):
            status, code, until = RecipientStatus.SENT, None, None
        case Refused(why):
            provider_id, status, code, until = None, RecipientStatus.FAILED, why.value, None
        case Later(why, after):
            provider_id, status, code = None, RecipientStatus.DEFERRED, why.value
            until = now() + timedelta(seconds=after) if after is not None else None
        case _:
            provider_id, status, code, until = None, RecipientStatus.UNCERTAIN, result.code.value, None
    is_retry = isinstance(result, Later)
    written = Result(one.seq, status, code, until, is_retry, one.channel, one.variant, provider_id)
    return Sent(written, _dead(one) if isinstance(result, Refused) and result.dead_address else None)


def _dead(one: Send) -> tuple[UUID, str] | None:
    return (one.device_id, one.address) if one.device_id and one.address else None
