"""A test of a broadcast: sent to a few chosen contacts, counted nowhere."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import EmptyAudience, Invalid
from core.ids import new_id
from domain import contacts, facts, idempotency, in_app_messages
from domain.broadcasts import audience
from domain.broadcasts.queries import get
from domain.in_app_messages import Draft
from domain.principals import Principal
from models.broadcasts import TargetType
from models.devices import Device
from models.facts import FactKind

CONTACTS_MOST = 20


async def send_test(
    session: AsyncSession, principal: Principal, broadcast_id: UUID, contact_ids: Sequence[UUID], key: str | None = None
) -> int:
    """Send it as it stands to the devices of some contacts; returns to how many devices.

    Raises:
        NotFound: no such broadcast.
        Invalid: no contact or more than 20, or some are not of this app.
        EmptyAudience: they have no device.
        IdempotencyKeyReused: `key` came before with another input.
    """
    if not 1 <= len(contact_ids) <= CONTACTS_MOST:
        raise Invalid(f"A test goes to 1 to {CONTACTS_MOST} contacts.", field="contactIds")
    broadcast = await get(session, principal.app_id, broadcast_id)
    ids = await contacts.ids_of(session, principal.app_id, contact_ids, [])
    theirs = sa.select(Device.id).where(audience.in_target(TargetType.SPECIFIC_USERS, ids))
    devices = (await session.scalars(theirs)).all()
    if not devices:
        raise EmptyAudience("None of these contacts has a device.", field="contactIds")
    trial, asked = new_id(), {"test": [broadcast_id, contact_ids]}
    if await idempotency.claim(session, principal.app_id, key, asked, trial):
        return len(devices)
    drafts = [
        Draft(f"t{trial}:{device}", device, f"[Test] {broadcast.title}", broadcast.body, broadcast.data)
        for device in devices
    ]
    await in_app_messages.store(session, principal.app_id, drafts)
    facts.record(session, principal.app_id, FactKind.BROADCAST_TESTED, broadcast_id, actor=principal.actor)
    return len(devices)
