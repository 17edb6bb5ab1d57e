"""Events: what contacts did, told by the app's server, or by a device of its own contact."""

from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.errors import IdempotencyKeyReused, Invalid, NotFound
from core.ids import new_id
from domain import checks, facts, workflow_signals
from domain.bulk import ONE_STATEMENT
from domain.principals import Principal
from domain.workflow_signals import Signal
from models.contacts import Contact
from models.devices import Device
from models.events import Event
from models.facts import FactKind
from models.workflows import TriggerKind

AT_ONCE = 1_000
NAME_MOST = 100
KEY_MOST = 200
USER_ID_MOST = 200
PROPERTIES_MOST = 8_192
AHEAD = timedelta(minutes=5)
"""How far clocks of servers and devices may be ahead."""


class EventFields(TypedDict):
    """An event as it is told.

    The contact is named by its id or by the app's user id, by neither when its device tells. `key` is the identity of
    the telling: told again, it is the same event.
    """

    contact_id: UUID | None
    user_id: str | None
    name: str
    properties: dict[str, Any] | None
    occurred_at: datetime | None
    key: str | None


@dataclass(frozen=True)
class Tracked:
    """What came of several events: how many are new, and how many had been told before."""

    tracked: int
    duplicates: int


async def track(session: AsyncSession, principal: Principal, fields: EventFields) -> Event:
    """Keep an event. One whose key is known is not kept again: the first is returned.

    Raises:
        Invalid: a field breaks its rule.
        NotFound: the app has no such contact.
        IdempotencyKeyReused: the key came before with another event.
    """
    (event,) = await _understood(session, principal, [fields], [""])
    if await _keep(session, principal, [event]):
        return event
    known = sa.select(Event).where(Event.app_id == event.app_id, Event.key == event.key)
    first = (await session.scalars(known)).one()
    if (first.contact_id, first.name, first.properties) != (event.contact_id, event.name, event.properties):
        raise IdempotencyKeyReused(
            "This idempotencyKey was used for another event; take a new one.", field="idempotencyKey"
        )
    return first


async def track_all(session: AsyncSession, principal: Principal, several: Sequence[EventFields]) -> Tracked:
    """Keep 1 to 1,000 events, all or none, by a few statements. Those whose key is known are passed over.

    Raises:
        Invalid: they are too many, or a field breaks its rule; names it like `events.3.name`.
        NotFound: the app has not a contact that is named; names it like `events.3.contactId`.
    """
    if not 1 <= len(several) <= AT_ONCE:
        raise Invalid(f"Give 1 to {AT_ONCE} events.", field="events")
    events = await _understood(session, principal, several, [f"events.{no}." for no in range(len(several))])
    kept = await _keep(session, principal, events)
    return Tracked(kept, len(events) - kept)


async def _understood(
    session: AsyncSession, principal: Principal, several: Sequence[EventFields], places: Sequence[str]
) -> list[Event]:
    """The events as they would be kept; `places` are the paths of each in the input."""
    own = await _own_contact(session, principal)
    if own:
        for fields, place in zip(several, places, strict=True):
            _refuse_contact(fields, place)
    cleaned = [_cleaned(fields, place) for fields, place in zip(several, places, strict=True)]
    contacts = [own] * len(cleaned) if own else await _contacts(session, principal.app_id, several, places)
    return [
        Event(id=new_id(), app_id=principal.app_id, contact_id=contact_id, **fields | _key_of(fields["key"], own))
        for contact_id, fields in zip(contacts, cleaned, strict=True)
    ]


async def _own_contact(session: AsyncSession, principal: Principal) -> UUID | None:
    """The contact whose device asks; None when no device does."""
    if principal.device_id is None:
        return None
    this = sa.and_(Device.app_id == principal.app_id, Device.id == principal.device_id)
    return (await session.scalars(sa.select(Device.contact_id).where(this))).one()


def _refuse_contact(fields: EventFields, place: str) -> None:
    for given, name in ((fields["contact_id"], "contactId"), (fields["user_id"], "userId")):
        if given is not None:
            raise Invalid(f"A device tells of its own contact; leave {place}{name} out.", field=f"{place}{name}")


def _key_of(key: str | None, own: UUID | None) -> dict[str, str | None]:
    """A device's keys are apart from those of everybody else, so that it cannot take one before them."""
    return {"key": f"{own}:{key}" if key and own else key}


def _cleaned(fields: EventFields, place: str) -> dict[str, Any]:
    at = now()
    occurred_at = fields["occurred_at"] or at
    if occurred_at > at + AHEAD:
        there = f"{place}occurredAt"
        raise Invalid(f"{there} is in the future; {AHEAD.seconds // 60} minutes ahead at most.", field=there)
    properties = checks.json_object(fields["properties"], f"{place}properties", most_bytes=PROPERTIES_MOST)
    return {
        "name": checks.text(fields["name"], f"{place}name", most=NAME_MOST),
        "properties": properties or {},
        "occurred_at": occurred_at,
        "key": checks.optional_text(fields["key"], f"{place}idempotencyKey", most=KEY_MOST),
        "created_at": at,
    }


async def _contacts(
    session: AsyncSession, app_id: UUID, several: Sequence[EventFields], places: Sequence[str]
) -> list[UUID]:
    """The contact of each event, held until the end of the transaction: none is erased meanwhile."""
    named = [_named(fields, place) for fields, place in zip(several, places, strict=True)]
    ids = {one for one in named if isinstance(one, UUID)}
    names = {one for one in named if isinstance(one, str)}
    known = sa.or_(Contact.id == _one_of(ids, sa.UUID()), Contact.external_id == _one_of(names, sa.Text()))
    rows = sa.select(Contact.id, Contact.external_id).where(Contact.app_id == app_id, known).order_by(Contact.id)
    found: dict[UUID | str | None, UUID] = {}
    for id_, external_id in await session.execute(rows.with_for_update(read=True, key_share=True)):
        found[id_] = found[external_id] = id_
    for one, place in zip(named, places, strict=True):
        _refuse_unknown(one, found, place)
    return [found[one] for one in named]


def _named(fields: EventFields, place: str) -> UUID | str:
    """The id of an event's contact, or the app's user id."""
    if (fields["contact_id"] is None) == (fields["user_id"] is None):
        there = f"{place}contactId"
        raise Invalid(f"Name the contact by {there} or by {place}userId, by one of them.", field=there)
    return fields["contact_id"] or checks.text(fields["user_id"] or "", f"{place}userId", most=USER_ID_MOST)


def _one_of(values: Collection[UUID | str], kind: sa.types.TypeEngine[Any]) -> Any:
    return sa.any_(sa.literal(list(values), sa.ARRAY(kind)))


def _refuse_unknown(named: UUID | str, found: Container[UUID | str | None], place: str) -> None:
    if named not in found:
        there = f"{place}contactId" if isinstance(named, UUID) else f"{place}userId"
        raise NotFound(f"{there} is no contact of this app.", field=there)


async def _keep(session: AsyncSession, principal: Principal, events: Sequence[Event]) -> int:
    """Store those whose key is not known, and record one fact for all of them; returns how many they are."""
    rows = [{column.key: getattr(event, column.key) for column in sa.inspect(Event).column_attrs} for event in events]
    # in one order, so that two who tell the same do not wait for each other
    rows.sort(key=lambda row: row["key"] or "")
    added = insert(Event).on_conflict_do_nothing().returning(Event.id)
    kept = set(await session.scalars(added, rows, execution_options=ONE_STATEMENT))
    new = [event for event in events if event.id in kept]
    if new:
        told: dict[str, Any] = {"count": len(new), "last": str(new[-1].id)}
        kind, shown = FactKind.EVENT_TRACKED, (None, _shown(new))
        facts.record(session, principal.author, kind, new[0], change=shown, each=new, **told)
        await workflow_signals.write(session, principal.app_id, [_signal(event) for event in new])
    return len(new)


def _signal(event: Event) -> Signal:
    told = {"name": event.name, "occurredAt": event.occurred_at.isoformat(), "properties": event.properties}
    return Signal(event.contact_id, TriggerKind.EVENT, [event.name], event.id, {"event": told})


def _shown(events: Sequence[Event]) -> dict[str, Any]:
    """What the audit log shows of events: their names, and how many they are."""
    return {"count": len(events), "names": sorted({event.name for event in events})[:10]}
