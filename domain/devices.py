"""Devices: where messages reach a contact."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypedDict
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core import security
from core.clock import now
from core.errors import Conflict, NotFound
from core.ids import new_id
from domain import checks, contacts, facts, idempotency, push_tokens
from domain.principals import Principal
from models.devices import Device, Platform
from models.facts import FactKind

AUDIENCE = "device"
IN_APP = (Platform.IOS, Platform.ANDROID, Platform.WEB)
DEVICES_MOST = 50
TOKEN_LIFETIME = timedelta(days=365)


@dataclass(frozen=True)
class Registered:
    """A device and the token by which it proves itself; the token is not kept and shown this once."""

    device: Device
    token: str


class DeviceFields(TypedDict):
    """What a new device is."""

    contact_id: UUID
    platform: Platform
    push_token: str | None
    app_version: str | None


async def register(
    session: AsyncSession, principal: Principal, fields: DeviceFields, key: str | None = None
) -> Registered:
    """A new device of a contact.

    Raises:
        NotFound: no such contact in this app.
        Invalid: a field breaks its rule.
        Conflict: the contact has 50 devices already.
    """
    id_ = new_id()
    if known := await idempotency.claim(session, principal.app_id, key, {"device": fields}, id_):
        return _registered(await get(session, principal.app_id, known))
    contact = await contacts.get(session, principal.app_id, fields["contact_id"], lock=True, field="contactId")
    held = await session.scalar(sa.select(sa.func.count()).where(Device.contact_id == contact.id)) or 0
    if held >= DEVICES_MOST:
        raise Conflict(f"A contact has {DEVICES_MOST} devices at most.", field="contactId")
    device = Device(
        id=id_,
        app_id=principal.app_id,
        contact_id=contact.id,
        platform=fields["platform"],
        push_token=push_tokens.checked(fields["platform"], fields["push_token"], "pushToken"),
        app_version=checks.optional_text(fields["app_version"], "appVersion", most=50),
        country=contact.country,
    )
    session.add(device)
    facts.record(session, principal.author, FactKind.DEVICE_REGISTERED, device)
    await session.flush()
    return _registered(device)


def _registered(device: Device) -> Registered:
    return Registered(device, token(device))


async def get(session: AsyncSession, app_id: UUID, device_id: UUID) -> Device:
    """One device of the app.

    Raises:
        NotFound: it has no such device.
    """
    device = await session.scalar(sa.select(Device).where(Device.app_id == app_id, Device.id == device_id))
    if device is None:
        raise NotFound("There is no such device.", field="id")
    return device


def token(device: Device) -> str:
    """A token by which `device` proves itself for a year, or until it is removed."""
    return security.sign(AUDIENCE, {"sub": str(device.id), "app": str(device.app_id)}, TOKEN_LIFETIME)


async def existing(session: AsyncSession, asked: Sequence[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
    """Those of the pairs of app and device that are registered."""
    rows = sa.select(Device.app_id, Device.id).where(Device.id.in_({device_id for _, device_id in asked}))
    return {(app_id, id_) for app_id, id_ in await session.execute(rows)}


async def seen(session: AsyncSession, device_id: UUID) -> None:
    """Note that the device is here now."""
    await session.execute(sa.update(Device).where(Device.id == device_id).values(last_seen_at=now()))


async def some(session: AsyncSession, app_id: UUID, count: int) -> Sequence[Device]:
    """The first `count` devices of an app that in-app messages reach, oldest first."""
    rows = (
        sa.select(Device).where(Device.app_id == app_id, Device.platform.in_(IN_APP)).order_by(Device.id).limit(count)
    )
    return (await session.scalars(rows)).all()
