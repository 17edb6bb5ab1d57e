"""Contacts and devices by the thousand: one statement for all of them, and a fact for each."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from domain import contact_changes, facts
from domain.audit import entries
from domain.principals import SYSTEM
from domain.webhook_events.writing import tell_all
from models.contacts import Contact
from models.devices import Device, Platform
from models.facts import Fact, FactKind

# Without it SQLAlchemy leaves out what is None, and makes a statement for each run of rows with the same columns.
ONE_STATEMENT = {"render_nulls": True}


class NewDevice(NamedTuple):
    """A device to be added; `country` is that of its contact."""

    contact_id: UUID
    platform: Platform
    country: str | None = None
    app_version: str | None = None


async def add_contacts(session: AsyncSession, app_id: UUID, contacts: Sequence[dict[str, Any]]) -> list[UUID]:
    """Add contacts with free external ids, as `contacts.clean` returns them; returns their ids in that order."""
    ids = [new_id() for _ in contacts]
    rows = [{"id": id_, "app_id": app_id, **fields} for id_, fields in zip(ids, contacts, strict=True)]
    if rows:
        await session.execute(insert(Contact), rows, execution_options=ONE_STATEMENT)
    await record_facts(session, app_id, FactKind.CONTACT_CREATED, "Contact", ids)
    if rows and await contact_changes.matter(session, app_id):
        new = [(id_, contact_changes.NOBODY, fields) for id_, fields in zip(ids, contacts, strict=True)]
        await contact_changes.tell(session, app_id, new)
    return ids


async def add_devices(session: AsyncSession, app_id: UUID, devices: Sequence[NewDevice]) -> list[UUID]:
    """Add devices of contacts of this app; returns their ids, in the order of `devices`."""
    ids = [new_id() for _ in devices]
    rows = [{"id": id_, "app_id": app_id, **device._asdict()} for id_, device in zip(ids, devices, strict=True)]
    if rows:
        await session.execute(insert(Device), rows, execution_options=ONE_STATEMENT)
    await record_facts(session, app_id, FactKind.DEVICE_REGISTERED, "Device", ids)
    return ids


async def forget_push_tokens(session: AsyncSession, app_id: UUID, dead: Mapping[UUID, str]) -> list[UUID]:
    """Take push tokens that their provider calls dead from devices of this app; returns those that had them still.

    A device that has brought another token meanwhile keeps it.
    """
    own = sa.and_(Device.app_id == app_id, sa.tuple_(Device.id, Device.push_token).in_(list(dead.items())))
    # in one order, whoever else forgets some of them
    ids = list(
        await session.scalars(sa.select(Device.id).where(own).order_by(Device.id).with_for_update(key_share=True))
    )
    await session.execute(sa.update(Device).where(Device.id.in_(ids)).values(push_token=None))
    await record_facts(session, app_id, FactKind.DEVICE_PUSH_ENDED, "Device", ids)
    return ids


async def record_facts(session: AsyncSession, app_id: UUID, kind: FactKind, entity: str, ids: Sequence[UUID]) -> None:
    """Write that `kind` happened to each of `ids`, by the system; followers are woken after the commit.

    The audit log gets one entry for all of them, which tells how many they are.
    """
    if not ids:
        return
    entries.enter(session, SYSTEM, kind, app_id=app_id, entity=entity, change=(None, {"count": len(ids)}))
    served = facts.served_at(kind)
    same = {"app_id": app_id, "kind": kind, "actor": SYSTEM.actor, "dispatched_at": served}
    await session.execute(insert(Fact), [same | {"entity_id": id_} for id_ in ids], execution_options=ONE_STATEMENT)
    tell_all(session, kind, app_id, SYSTEM.actor, ids)
    if served is None:
        facts.wake_dispatcher(session)
