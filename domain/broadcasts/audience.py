"""Who a broadcast goes to: the devices of its target."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from domain.devices import IN_APP
from models.broadcasts import Broadcast, TargetType
from models.contacts import Contact
from models.devices import Device, Platform


def devices(broadcast: Broadcast) -> sa.Select[UUID, UUID, Platform, str | None, str | None]:
    """The devices of the audience with the contact's time zone: one row for each device, nothing ordered."""
    return (
        sa.select(Device.id, Device.contact_id, Device.platform, Device.country, Contact.time_zone)
        .join(Contact, Contact.id == Device.contact_id)
        .where(Device.app_id == broadcast.app_id, in_target(broadcast.target_type, broadcast.contact_ids))
    )


def in_target(target_type: TargetType, contact_ids: list[UUID]) -> sa.ColumnElement[bool]:
    """The condition that a device is meant: of one of the contacts, and of a kind that in-app messages reach."""
    reached = Device.platform.in_(IN_APP)
    if target_type is TargetType.SPECIFIC_USERS:
        return sa.and_(reached, Device.contact_id.in_(contact_ids))
    return reached


async def count(
    session: AsyncSession, app_id: UUID, target_type: TargetType, contact_ids: list[UUID]
) -> tuple[int, int]:
    """How many contacts, and how many of their devices, a target reaches at this moment."""
    chosen = sa.select(sa.func.count(Device.contact_id.distinct()), sa.func.count()).where(
        Device.app_id == app_id, in_target(target_type, contact_ids)
    )
    contacts, found = (await session.execute(chosen)).one()
    return contacts, found


async def is_empty(session: AsyncSession, broadcast: Broadcast) -> bool:
    """Whether the broadcast would reach no device."""
    return not await session.scalar(sa.select(devices(broadcast).exists()))
