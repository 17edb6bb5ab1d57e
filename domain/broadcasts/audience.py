"""Who a broadcast goes to: the devices of its target, and the mailboxes of those whom no device reaches.

A contact has a row for each device that IN_APP or PUSH reaches. One who has none gets an e-mail, where EMAIL is among
the channels and the contact has an address.
"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain.devices import IN_APP
from domain.segments import compiling, conditions
from models.broadcasts import Broadcast, TargetType
from models.channels import ChannelKind
from models.contacts import Contact
from models.devices import Device


@dataclass(frozen=True)
class Reach:
    """How many a target reaches at this moment: people, their devices, and those reached by e-mail."""

    contacts: int
    devices: int
    mailboxes: int


def contacts(broadcast: Broadcast, at: datetime) -> sa.ColumnElement[bool]:
    """The condition that a contact is in the target and not excluded. Relative times count from `at`."""
    own: list[sa.ColumnElement[bool]] = [Contact.app_id == broadcast.app_id]
    if broadcast.target_type is TargetType.SPECIFIC_USERS:
        own.append(Contact.id.in_(broadcast.contact_ids))
    if broadcast.target_type is TargetType.SEGMENT:
        own.append(_where(broadcast, broadcast.segment_query, at))
    if broadcast.exclude_query is not None:
        own.append(~_where(broadcast, broadcast.exclude_query, at))
    return sa.and_(*own)


def _where(broadcast: Broadcast, query: object, at: datetime) -> sa.ColumnElement[bool]:
    return compiling.where(conditions.parse(query), broadcast.app_id, at)


async def plan(session: AsyncSession, broadcast: Broadcast) -> None:
    """To be awaited before a statement with `contacts`: conditions are planned for the values that they have."""
    if broadcast.segment_query is not None or broadcast.exclude_query is not None:
        await compiling.plan_by_values(session)


def reaches(channels: list[str]) -> sa.ColumnElement[bool]:
    """The condition that a device is reached by one of the channels: in-app, or by push when it has a token."""
    ways: list[sa.ColumnElement[bool]] = [sa.false()]
    if ChannelKind.IN_APP in channels:
        ways.append(sa.true())
    if ChannelKind.PUSH in channels:
        ways.append(Device.push_token.is_not(None))
    return sa.and_(Device.platform.in_(IN_APP), sa.or_(*ways))


def has_mailbox(channels: list[str]) -> sa.ColumnElement[bool]:
    """The condition that a contact gets an e-mail: none of their devices is reached, and they have an address."""
    if ChannelKind.EMAIL not in channels:
        return sa.false()
    reached = sa.exists().where(Device.contact_id == Contact.id, reaches(channels))
    return sa.and_(sa.func.cardinality(Contact.emails) > 0, ~reached)


async def count(session: AsyncSession, broadcast: Broadcast) -> Reach:
    """How many a broadcast would reach if it were sent now."""
    await plan(session, broadcast)
    meant, channels = contacts(broadcast, now()), broadcast.channels
    of_devices = sa.select(sa.func.count(Device.contact_id.distinct()), sa.func.count())
    devices = of_devices.join(Contact, Contact.id == Device.contact_id).where(meant, reaches(channels))
    people, found = (await session.execute(devices)).one()
    mailboxes = await session.scalar(
        sa.select(sa.func.count()).select_from(Contact).where(meant, has_mailbox(channels))
    )
    return Reach(people + (mailboxes or 0), found, mailboxes or 0)


async def is_empty(session: AsyncSession, broadcast: Broadcast) -> bool:
    """Whether the broadcast would reach nobody."""
    await plan(session, broadcast)
    by_device = sa.exists().where(Device.contact_id == Contact.id, reaches(broadcast.channels))
    one = sa.select(Contact.id).where(contacts(broadcast, now()), sa.or_(by_device, has_mailbox(broadcast.channels)))
    return await session.scalar(sa.select(one.exists())) is not True
