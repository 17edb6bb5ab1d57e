"""Contacts: the people an app talks to."""

from collections.abc import Collection, Sequence
from typing import Any, TypedDict
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict, Invalid
from core.ids import new_id
from domain import checks, contact_changes, erasure, facts, idempotency, inbox_streams, proofs, suppressions
from domain.lookups import own
from domain.pages import Page, PageRequest, page
from domain.principals import Principal
from models.contacts import Contact
from models.conversations import Conversation
from models.facts import FactKind

LIST_MOST = 20
TAGS_MOST = 50


class ContactFields(TypedDict, total=False):
    """What can be said of a contact; a key that is absent is left as it is, None clears."""

    external_id: str | None
    name: str | None
    emails: list[str] | None
    phones: list[str] | None
    locale: str | None
    time_zone: str | None
    country: str | None
    plan: str | None
    tags: list[str] | None
    attributes: dict[str, Any] | None


def clean(fields: ContactFields) -> dict[str, Any]:
    """The fields as they are stored: trimmed, e-mails lower-cased, phones in E.164, tags without doubles.

    Raises:
        Invalid: a field breaks its rule; names it.
    """
    country = checks.country(fields.get("country"), "country")
    cleaned: dict[str, Any] = {
        "external_id": checks.optional_text(fields.get("external_id"), "externalId", most=200),
        "name": checks.optional_text(fields.get("name"), "name", most=200) or "",
        "emails": _each(fields.get("emails"), "emails", checks.email),
        "phones": _each(fields.get("phones"), "phones", lambda value, at: checks.phone(value, at, country)),
        "locale": checks.locale(fields.get("locale"), "locale"),
        "time_zone": checks.time_zone(fields.get("time_zone"), "timeZone"),
        "country": country,
        "plan": checks.optional_text(fields.get("plan"), "plan", most=100),
        "tags": _each(fields.get("tags"), "tags", lambda value, at: checks.text(value, at, most=50), most=TAGS_MOST),
        "attributes": checks.json_object(fields.get("attributes"), "attributes", most_bytes=16_384) or {},
    }
    return {name: value for name, value in cleaned.items() if name in fields}


def _each(values: list[str] | None, field: str, check: Any, most: int = LIST_MOST) -> list[str]:
    """Every value checked, doubles dropped, order kept."""
    checks.at_most(values or [], field, most)
    return list(dict.fromkeys(check(value, f"{field}.{at}") for at, value in enumerate(values or [])))


async def create(session: AsyncSession, principal: Principal, fields: ContactFields, key: str | None = None) -> Contact:
    """A new contact.

    Raises:
        Invalid: a field breaks its rule.
        Conflict: the external id is taken in this app.
        IdempotencyKeyReused: `key` came before with another input.
    """
    id_, cleaned = new_id(), clean(fields)
    if known := await idempotency.claim(session, principal.app_id, key, {"contact": cleaned}, id_):
        return await get(session, principal.app_id, known)
    contact = Contact(id=id_, app_id=principal.app_id, **cleaned)
    session.add(contact)
    facts.record(session, principal.author, FactKind.CONTACT_CREATED, contact)
    await _flush(session)
    await contact_changes.tell(session, contact.app_id, [(id_, contact_changes.NOBODY, cleaned)])
    return contact


async def update(session: AsyncSession, principal: Principal, contact_id: UUID, fields: ContactFields) -> Contact:
    """Change the given fields of a contact.

    Raises:
        NotFound: no such contact in this app.
        Invalid, Conflict: as in `create`.
    """
    contact = await get(session, principal.app_id, contact_id, lock=True)
    before = contact_changes.values_of(contact)
    for name, value in clean(fields).items():
        setattr(contact, name, value)
    facts.record(session, principal.author, FactKind.CONTACT_UPDATED, contact)
    await _flush(session)
    await contact_changes.tell(session, contact.app_id, [(contact.id, before, contact_changes.values_of(contact))])
    return contact


async def _flush(session: AsyncSession) -> None:
    try:
        await session.flush()
    except IntegrityError:
        raise Conflict("Another contact of this app has this externalId.", field="externalId") from None


async def delete(session: AsyncSession, principal: Principal, contact_id: UUID) -> Contact:
    """Erase a contact with their devices and messages. Suppressed addresses stay suppressed, as hashes.

    Raises:
        NotFound: no such contact in this app.
    """
    contact = await get(session, principal.app_id, contact_id, lock=True)
    conversations = await _conversations(session, contact)
    await erasure.forget_executions(session, contact)
    await suppressions.forget(session, contact)
    await session.delete(contact)
    proofs.outdated(session)
    facts.record(session, principal.author, FactKind.CONTACT_DELETED, contact)
    for row in conversations:
        told = inbox_streams.of_conversation(row.app_id, row.id)
        facts.record(session, principal.author, FactKind.CONVERSATION_DELETED, row, streams=told)
    await session.flush()
    return contact


async def _conversations(session: AsyncSession, contact: Contact) -> Sequence[Conversation]:
    """Those that go with the contact, which is told to who watches them.

    Locked, to wait for who writes into them: they hold a conversation, then the devices, which would go the other way.
    """
    theirs = sa.select(Conversation).where(Conversation.contact_id == contact.id).order_by(Conversation.id)
    return (await session.scalars(theirs.with_for_update())).all()


async def get(
    session: AsyncSession, app_id: UUID, contact_id: UUID, *, lock: bool = False, field: str = "id"
) -> Contact:
    """One contact of the app; `field` is where its id came from.

    Raises:
        NotFound: it has no such contact.
    """
    return await own(session, Contact, app_id, contact_id, "contact", lock=lock, field=field)


async def listed(
    session: AsyncSession, app_id: UUID, request: PageRequest, *, search: str | None = None, tag: str | None = None
) -> Page[Contact]:
    """The contacts of an app, oldest first; `search` looks into names, external ids, e-mails and phones."""
    rows = sa.select(Contact).where(Contact.app_id == app_id)
    if wanted := checks.optional_text(search, "search", most=200):
        rows = rows.where(Contact.search.contains(wanted.lower(), autoescape=True))
    if marked := checks.optional_text(tag, "tag", most=50):
        rows = rows.where(Contact.tags.bool_op("@>")([marked]))
    return await page(session, rows, Contact.id, request)


async def ids_of(
    session: AsyncSession, app_id: UUID, ids: Sequence[UUID], external_ids: Sequence[str], *, within: str = ""
) -> list[UUID]:
    """The contacts named by their own id or by the app's user id, each once; `within` is the path of the two fields.

    Raises:
        Invalid: some are not contacts of this app; the message names the first of them.
    """
    names = [checks.text(one, f"{within}userIds.{at}", most=200) for at, one in enumerate(external_ids)]
    named = sa.or_(Contact.id.in_(ids), Contact.external_id.in_(names))
    found = (
        await session.execute(sa.select(Contact.id, Contact.external_id).where(Contact.app_id == app_id, named))
    ).all()
    _refuse_unknown([str(one) for one in ids], {str(row.id) for row in found}, f"{within}contactIds")
    _refuse_unknown(names, {row.external_id for row in found}, f"{within}userIds")
    return sorted(row.id for row in found)


def _refuse_unknown(asked: Collection[str], known: Collection[str | None], field: str) -> None:
    unknown = [one for one in asked if one not in known]
    if unknown:
        raise Invalid(f"{len(unknown)} of {field} are not contacts of this app, first {unknown[0]!r}.", field=field)
