"""A slice of rows to the database: a few statements for all of them, whatever their number."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from domain import bulk, contact_changes
from domain.contacts import LIST_MOST
from domain.imports.reports import Refused
from domain.imports.rows import Key, Row
from models.contacts import Contact
from models.devices import Device
from models.facts import FactKind

_COLUMNS = {"external_id": Contact.external_id, "emails": Contact.emails[1], "phones": Contact.phones[1]}
_SAID = {"external_id": "external id", "emails": "e-mail", "phones": "phone"}


@dataclass(frozen=True)
class Written:
    """What came of a slice: how many contacts were created and updated, and the rows that could not be placed."""

    created: int
    updated: int
    refused: list[Refused]


@dataclass(frozen=True)
class _Match:
    """A contact that a key recognises, and whether this import has written it."""

    id: UUID
    ours: bool


@dataclass(frozen=True)
class _Placed:
    """A row and the contact that it is, or becomes."""

    row: Row
    id: UUID
    new: bool


@dataclass(frozen=True)
class _Stored:
    """A row that is in the database, with the country that its contact has now."""

    row: Row
    id: UUID
    country: str | None
    created: bool


async def write(session: AsyncSession, app_id: UUID, rows: Sequence[Row], at: datetime) -> Written:
    """Create and update the contacts of a slice. Imports of one app wait here for each other.

    Args:
        session: its transaction is the slice's.
        app_id: whose contacts they are.
        rows: some 1,000.
        at: the instant of this import, the same for all its slices. It becomes their `updated_at`, and so tells which
            contacts an earlier row has written: nothing needs to be kept in memory for that.
    """
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(f"import:{app_id}", 0))))
    placed, refused = _place(rows, await _matches(session, app_id, rows, at))
    named = [one for one in placed if one.row.key.kind == "external_id"]
    others = [one for one in placed if one.row.key.kind != "external_id"]
    is_told = await contact_changes.matter(session, app_id)
    known = [one.id for one in placed if not one.new]
    before = await contact_changes.held(session, app_id, known, lock=True) if is_told else {}
    stored = [
        *await _store(session, app_id, named, at, ["app_id", "external_id"]),
        *await _store(session, app_id, others, at, ["id"]),
    ]
    if is_told:
        after = await contact_changes.held(session, app_id, [one.id for one in stored], lock=False)
        changes = [(id_, before.get(id_, contact_changes.NOBODY), values) for id_, values in after.items()]
        await contact_changes.tell(session, app_id, changes)
    await _add_devices(session, app_id, stored)
    created = sum(one.created for one in stored)
    return Written(created, len(stored) - created, refused)


async def _matches(session: AsyncSession, app_id: UUID, rows: Sequence[Row], at: datetime) -> dict[Key, list[_Match]]:
    """The contacts of the app that the keys of `rows` recognise."""
    found: dict[Key, list[_Match]] = defaultdict(list)
    for kind, column in _COLUMNS.items():
        values = [row.key.value for row in rows if row.key.kind == kind]
        if values:
            named = column == sa.any_(sa.literal(values, sa.ARRAY(sa.Text)))
            wanted = sa.select(column, Contact.id, Contact.updated_at).where(Contact.app_id == app_id, named)
            for value, id_, updated_at in await session.execute(wanted):
                found[Key(kind, value)].append(_Match(id_, updated_at == at))
    return found


def _place(rows: Sequence[Row], matches: dict[Key, list[_Match]]) -> tuple[list[_Placed], list[Refused]]:
    """Each row with its contact, and the rows that are none or one that an earlier row is."""
    placed: list[_Placed] = []
    refused: list[Refused] = []
    taken: set[Key | UUID] = set()
    for row in rows:
        found = matches.get(row.key, [])
        identity = found[0].id if found else row.key
        if reason := _objection(row.key, found, repeated=identity in taken):
            refused.append(Refused(row.record.line, reason, row.record.text))
        else:
            taken.add(identity)
            placed.append(_Placed(row, found[0].id if found else new_id(), new=not found))
    return placed, refused


def _objection(key: Key, found: Sequence[_Match], *, repeated: bool) -> str | None:
    said = _SAID[key.kind]
    if len(found) > 1:
        return f"{len(found)} contacts of the app have this {said}; tell them apart by external id."
    if repeated or any(match.ours for match in found):
        return f"By its {said} it is the same contact as an earlier row."
    return None


async def _store(
    session: AsyncSession, app_id: UUID, placed: Sequence[_Placed], at: datetime, unique: list[str]
) -> list[_Stored]:
    """Insert the new contacts and fill the others, in one statement. `unique` are columns that recognise a contact.

    By external id, one that somebody else created at this moment is recognised too.
    """
    if not placed:
        return []
    values = [{"id": one.id, "app_id": app_id, "updated_at": at, **one.row.fields} for one in placed]
    result = await session.execute(_upsert(unique), values, execution_options=bulk.ONE_STATEMENT)
    stored: dict[Any, tuple[UUID, str | None]] = {}
    for id_, external_id, country in result:
        stored[id_] = stored[external_id] = (id_, country)
    found = [(one, *stored[one.row.fields["external_id"] or one.id]) for one in placed]
    told = [_Stored(one.row, id_, country, created=one.new and id_ == one.id) for one, id_, country in found]
    await bulk.record_facts(
        session, app_id, FactKind.CONTACT_CREATED, "Contact", [one.id for one in told if one.created]
    )
    await bulk.record_facts(
        session, app_id, FactKind.CONTACT_UPDATED, "Contact", [one.id for one in told if not one.created]
    )
    return told


def _upsert(unique: list[str]) -> Any:
    statement = insert(Contact)
    changes = _filled(statement)
    upsert = statement.on_conflict_do_update(index_elements=unique, set_=changes)
    return upsert.returning(Contact.id, Contact.external_id, Contact.country)


def _filled(statement: Insert) -> dict[str, Any]:
    """What a contact becomes when a row is recognised as it: what the row leaves blank stays."""
    new = statement.excluded
    kept = {name: sa.func.coalesce(new[name], getattr(Contact, name)) for name in _PLAIN}
    return kept | {
        "name": sa.func.coalesce(sa.func.nullif(new.name, ""), Contact.name),
        "emails": _with_primary(Contact.emails, new.emails),
        "phones": _with_primary(Contact.phones, new.phones),
        "tags": sa.case((sa.func.cardinality(new.tags) > 0, new.tags), else_=Contact.tags),
        "attributes": Contact.attributes.concat(new.attributes),
        "updated_at": new.updated_at,
    }


_PLAIN = ("locale", "time_zone", "country", "plan")


def _with_primary(old: Any, new: Any) -> sa.ColumnElement[list[str]]:
    """The new entry, then the old ones but the first; just the old ones when there is no new one."""
    rest = sa.func.array_remove(old[2:LIST_MOST], new[1])
    return sa.case((sa.func.cardinality(new) > 0, sa.func.array_cat(new, rest)), else_=old)


async def _add_devices(session: AsyncSession, app_id: UUID, stored: Sequence[_Stored]) -> None:
    """Give each contact the device that its row asks for, unless it has one of that platform."""
    asked = [one for one in stored if one.row.platform]
    owners = sa.any_(sa.literal([one.id for one in asked], sa.ARRAY(sa.UUID)))
    there = sa.select(Device.contact_id, Device.platform).where(Device.contact_id == owners)
    known = {tuple(pair) for pair in await session.execute(there)} if asked else set()
    wanted = [bulk.NewDevice(one.id, one.row.platform, one.country) for one in asked if one.row.platform]
    missing = [device for device in wanted if (device.contact_id, device.platform) not in known]
    await bulk.add_devices(session, app_id, missing)
