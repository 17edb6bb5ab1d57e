"""Where simulated devices come from: those of the app, and new ones when it has too few."""

from dataclasses import dataclass
from itertools import cycle, islice
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.database import transaction
from domain import bulk, contacts, devices
from models.devices import Platform

PLATFORMS = (Platform.IOS, Platform.ANDROID, Platform.WEB)


@dataclass(frozen=True)
class Supply:
    """The tokens of as many devices as were asked for, and how many of these are new."""

    tokens: list[str]
    added: int


async def supply(app_id: UUID, count: int) -> Supply:
    """`count` devices of an app: its oldest ones, filled up with new ones of contacts named `Simulated 17`."""
    async with transaction() as session:
        found = await devices.some(session, app_id, count)
        added = count - len(found)
        if added:
            await _add(session, app_id, len(found) + 1, added)
            found = await devices.some(session, app_id, count)
    return Supply([devices.token(device) for device in found], added)


async def _add(session: AsyncSession, app_id: UUID, first: int, count: int) -> None:
    """Contacts numbered from `first`, each with a device."""
    people = [contacts.clean({"name": f"Simulated {number}"}) for number in range(first, first + count)]
    ids = await bulk.add_contacts(session, app_id, people)
    platforms = islice(cycle(PLATFORMS), count)
    new = [bulk.NewDevice(id_, platform) for id_, platform in zip(ids, platforms, strict=True)]
    await bulk.add_devices(session, app_id, new)
