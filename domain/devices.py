"""Devices: where messages reach a contact."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core import security
from core.clock import now
from core.ids import new_id
from domain import checks, contacts, facts
from domain.principals import Principal
from models.devices import Device, Platform
from models.facts import FactKind

AUDIENCE = "device"
TOKEN_LIFETIME = timedelta(days=365)


@dataclass(frozen=True)
class Registered:
    """A device and the token by which it proves itself; the token is not kept and shown this once."""

    device: Device
    token: str


async def register(
    session: AsyncSession,
    principal: Principal,
    contact_id: UUID,
    platform: Platform,
    *,
    push_token: str | None = None,
    app_version: str | None = None,
) -> Registered:
    """A new device of a contact.

    Raises:
        NotFound: no such contact in this app.
        Invalid: a field breaks its rule.
    """
    contact = await contacts.get(session, principal.app_id, contact_id)
    device = Device(
        id=new_id(),
        app_id=principal.app_id,
        contact_id=contact.id,
        platform=platform,
        push_token=checks.optional_text(push_token, "pushToken", most=4096),
        app_version=checks.optional_text(app_version, "appVersion", most=50),
        country=contact.country,
    )
    session.add(device)
    await session.flush()
    facts.record(session, principal.app_id, FactKind.DEVICE_REGISTERED, device.id, actor=principal.actor)
    return Registered(device, token(device))


def token(device: Device) -> str:
    """A token by which `device` proves itself for a year, or until it is removed."""
    return security.sign(AUDIENCE, {"sub": str(device.id), "app": str(device.app_id)}, TOKEN_LIFETIME)


async def exists(session: AsyncSession, app_id: UUID, device_id: UUID) -> bool:
    """Whether the app has this device."""
    found = sa.select(sa.exists().where(Device.app_id == app_id, Device.id == device_id))
    return bool(await session.scalar(found))


async def seen(session: AsyncSession, device_id: UUID) -> None:
    """Note that the device is here now."""
    await session.execute(sa.update(Device).where(Device.id == device_id).values(last_seen_at=now()))


async def some(session: AsyncSession, app_id: UUID, count: int) -> Sequence[Device]:
    """The first `count` devices of an app, oldest first."""
    rows = sa.select(Device).where(Device.app_id == app_id).order_by(Device.id).limit(count)
    return (await session.scalars(rows)).all()
