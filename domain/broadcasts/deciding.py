"""What becomes of each recipient at the moment of sending: sent by which way, or put off, or skipped, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core import presence
from core.clock import now
from domain import frequency, opt_outs, timing
from domain.broadcasts import contents
from domain.broadcasts.chunks import send_key
from domain.broadcasts.contents import Content
from domain.broadcasts.results import Result
from domain.templates import MISSING_VARIABLE, MissingValue
from models.apps import App
from models.broadcasts import Broadcast, BroadcastRecipient, QuietPolicy, RecipientStatus
from models.channels import ChannelKind
from models.contacts import Contact
from models.devices import Device, Platform

MIDNIGHT = time()
"""Quiet hours that begin and end with it are none."""
LOOK_AGAIN = timedelta(seconds=5)
CONTACT_GONE, DEVICE_GONE, UNREACHABLE = "CONTACT_GONE", "DEVICE_GONE", "UNREACHABLE"
LOCAL_TIME, QUIET_HOURS, AWAITING_WINNER = "LOCAL_TIME", "QUIET_HOURS", "AWAITING_WINNER"
FREQUENCY_CAP = "FREQUENCY_CAP"


@dataclass(frozen=True)
class Plan:
    """What is the same for all recipients of a broadcast, worked out once for each lease.

    Attributes:
        contents: what each variant says; a single one where there are no variants.
        quiet: the quiet hours of the app.
        channels: the ways it may take.
        reads_contact: whether something of the contact is in what they get, or is where they get it.
        instants: when each time zone gets it; filled as zones occur.
    """

    broadcast: Broadcast
    app: App
    contents: Sequence[Content]
    quiet: timing.QuietHours
    channels: frozenset[str]
    reads_contact: bool
    instants: dict[str | None, datetime] = field(default_factory=dict)


class Wait(NamedTuple):
    """Why and until when a recipient is put off; skipped where `until` is None."""

    code: str
    until: datetime | None


class Send(NamedTuple):
    """A message to one recipient, ready for its channel.

    Attributes:
        key: identity of the send, the same when it is tried again.
        address: push token or e-mail address; None in-app.
    """

    seq: int
    key: str
    channel: ChannelKind
    contact_id: UUID
    device_id: UUID | None
    platform: Platform | None
    address: str | None
    variant: int | None
    content: contents.Rendered


def seen(*, with_contact: bool = True) -> sa.Select[Any]:
    """A recipient with what is known of the contact and the device at this moment."""
    return (
        sa.select(
            BroadcastRecipient.seq,
            BroadcastRecipient.contact_id,
            BroadcastRecipient.device_id,
            BroadcastRecipient.platform,
            BroadcastRecipient.time_zone,
            BroadcastRecipient.variant,
            *(contents.COLUMNS if with_contact else ()),
            Contact.id.label("contact"),
            Device.id.label("device"),
            Device.push_token,
        )
        .outerjoin(Contact, Contact.id == BroadcastRecipient.contact_id)
        .outerjoin(Device, Device.id == BroadcastRecipient.device_id)
    )


async def prepare(session: AsyncSession, broadcast: Broadcast) -> Plan:
    """The plan of a broadcast that is being sent."""
    app = (await session.scalars(sa.select(App).where(App.id == broadcast.app_id))).one()
    quiet = timing.QuietHours(app.quiet_start or MIDNIGHT, app.quiet_end or MIDNIGHT)
    compiled, channels = await contents.compiled(session, broadcast), frozenset(broadcast.channels)
    reads_contact = ChannelKind.EMAIL in channels or any(one.plain is None or one.links for one in compiled)
    return Plan(broadcast, app, compiled, quiet, channels, reads_contact)


async def decide(session: AsyncSession, plan: Plan, rows: Sequence[Any]) -> tuple[list[Send], list[Result]]:
    """Who of `rows` is sent to now, and the result of the others."""
    at, others, going = now(), list[Result](), list[Any]()
    waits: dict[tuple[str | None, bool], Wait | None] = {}
    for row in rows:
        case = (row.time_zone, row.variant is None)
        if case not in waits:
            waits[case] = _wait(plan, *case, at)
        if early := _gone(row) or _put_off(row.seq, waits[case]):
            others.append(early)
        else:
            going.append(row)
    online = await _online(plan, going)
    ways = [(row, _route(plan, row, row.device_id in online)) for row in going]
    others += [_skip(row.seq, UNREACHABLE) for row, way in ways if way is None]
    routed = [(row, *way) for row, way in ways if way is not None]
    refused = await _refusals(session, plan, routed, at)
    others += refused.values()
    done = [_render(plan, row, channel, address) for row, channel, address in routed if row.seq not in refused]
    sends = [one for one in done if isinstance(one, Send)]
    return sends, others + [one for one in done if isinstance(one, Result)]


def _skip(seq: int, code: str) -> Result:
    return Result(seq, RecipientStatus.SKIPPED, code)


def _defer(seq: int, code: str, until: datetime) -> Result:
    return Result(seq, RecipientStatus.DEFERRED, code, until)


def _gone(row: Any) -> Result | None:
    """Who was erased since the recipients were written."""
    if row.contact is None:
        return _skip(row.seq, CONTACT_GONE)
    if row.device_id is not None and row.device is None:
        return _skip(row.seq, DEVICE_GONE)
    return None


def _put_off(seq: int, wait: Wait | None) -> Result | None:
    if wait is None:
        return None
    return _defer(seq, wait.code, wait.until) if wait.until else _skip(seq, wait.code)


def _wait(plan: Plan, zone: str | None, is_open: bool, at: datetime) -> Wait | None:
    """Who gets it later: at their local time, after their quiet hours, when the winner is known.

    Args:
        plan: of the broadcast.
        zone: of the recipient.
        is_open: the recipient has no variant yet.
        at: now.
    """
    broadcast, due = plan.broadcast, _instant(plan, zone)
    if due > at:
        return Wait(LOCAL_TIME, due)
    allowed = plan.quiet.allowed_at(at, zone, plan.app.time_zone)
    if allowed > at and broadcast.quiet_policy is QuietPolicy.DEFER:
        return Wait(QUIET_HOURS, allowed)
    if allowed > at and broadcast.quiet_policy is QuietPolicy.SKIP:
        return Wait(QUIET_HOURS, None)
    if broadcast.variants and is_open and broadcast.winner is None:
        return Wait(AWAITING_WINNER, max(broadcast.winner_due_at or at, at + LOOK_AGAIN))
    return None


def _instant(plan: Plan, zone: str | None) -> datetime:
    """When a zone gets it."""
    if plan.broadcast.local_at is None:
        return datetime.min.replace(tzinfo=UTC)
    if zone not in plan.instants:
        plan.instants[zone] = timing.local_instant(plan.broadcast.local_at, zone, plan.broadcast.time_zone)
    return plan.instants[zone]


async def _online(plan: Plan, rows: Sequence[Any]) -> set[UUID]:
    """The devices that are connected now, where that makes a difference."""
    if not {ChannelKind.PUSH, ChannelKind.IN_APP} <= plan.channels:
        return set()
    return await presence.online([row.device_id for row in rows if row.device_id])


def _route(plan: Plan, row: Any, is_online: bool) -> tuple[ChannelKind, str | None] | None:
    """By which way a recipient is reached, and where; None by none. A device that is offline is reached by push."""
    if row.device_id is None:
        return (ChannelKind.EMAIL, row.emails[0]) if row.emails else None
    if ChannelKind.PUSH in plan.channels and row.push_token and not is_online:
        return ChannelKind.PUSH, row.push_token
    return (ChannelKind.IN_APP, None) if ChannelKind.IN_APP in plan.channels else None


async def _refusals(
    session: AsyncSession, plan: Plan, routed: Sequence[tuple[Any, ChannelKind, str | None]], at: datetime
) -> dict[int, Result]:
    """Who must not be written to, or has had enough, by their number."""
    to = [
        (row.contact_id, channel, address if channel is ChannelKind.EMAIL else None) for row, channel, address in routed
    ]
    unwilling = await opt_outs.refused(session, plan.app.id, to)
    found = {routed[no][0].seq: _skip(routed[no][0].seq, why.value) for no, why in unwilling.items()}
    left = [(row, channel) for row, channel, _ in routed if row.seq not in found]
    return found | await _capped(session, plan, left, at)


async def _capped(
    session: AsyncSession, plan: Plan, asked: Sequence[tuple[Any, ChannelKind]], at: datetime
) -> dict[int, Result]:
    if plan.broadcast.ignores_cap or plan.app.frequency_cap_count is None:
        return {}
    keys = {send_key(plan.broadcast.id, row.seq): row.seq for row, _ in asked}
    wanted = [(row.contact_id, channel, send_key(plan.broadcast.id, row.seq)) for row, channel in asked]
    over = await frequency.reserve(session, plan.app, wanted, at)
    return {keys[key]: _skip(keys[key], FREQUENCY_CAP) for key in over}


def _render(plan: Plan, row: Any, channel: ChannelKind, address: str | None) -> Send | Result:
    variant = plan.broadcast.winner if row.variant is None and plan.broadcast.variants else row.variant
    try:
        content = contents.render(plan.contents[variant or 0], plan.broadcast, plan.app, row, channel)
    except MissingValue:
        return _skip(row.seq, MISSING_VARIABLE)
    key = send_key(plan.broadcast.id, row.seq)
    return Send(row.seq, key, channel, row.contact_id, row.device_id, row.platform, address, variant, content)
