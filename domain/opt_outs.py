"""Opt-outs: which contacts do not want to be written to, and what a sender asks before every message."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, TypedDict
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict
from domain import checks, contacts, facts, suppressions
from domain.audit import entries
from domain.principals import Author
from models.channels import ChannelKind
from models.contacts import Contact
from models.facts import FactKind
from models.opt_outs import OptOut, OptOutReason
from models.suppressions import Suppression

Asked = tuple[UUID, ChannelKind, str | None]
ASKED_MOST = 1_000


class Refusal(StrEnum):
    """Why a contact must not be written to."""

    OPTED_OUT = "OPTED_OUT"
    SUPPRESSED = "SUPPRESSED"


class OptOutFields(TypedDict):
    """Who opts out of what; `channel` None is every channel."""

    contact_id: UUID
    channel: ChannelKind | None
    reason: OptOutReason
    note: str | None


async def opt_out(
    session: AsyncSession, app_id: UUID, author: Author, fields: OptOutFields, *, broadcast_id: UUID | None = None
) -> Contact:
    """Write to a contact no more by a channel. Who has opted out of it already stays so, with the first reason.

    Args:
        session: the transaction of the caller.
        app_id: whose contact it is.
        author: who says so.
        fields: what is said.
        broadcast_id: the broadcast that led to it, for who follows the fact.

    Raises:
        NotFound: no such contact in this app.
        Invalid: the note is longer than 500 characters.
    """
    note = checks.optional_text(fields["note"], "note", most=500)
    contact = await contacts.get(session, app_id, fields["contact_id"], lock=True, field="contactId")
    if any(row.channel == fields["channel"] for row in await _of(session, contact)):
        return contact
    row = OptOut(app_id=app_id, contact_id=contact.id, channel=fields["channel"], reason=fields["reason"], note=note)
    session.add(row)
    led = {"broadcast_id": str(broadcast_id)} if broadcast_id else {}
    _record(session, author, FactKind.CONTACT_OPTED_OUT, contact, row, **led)
    await session.flush()
    return contact


async def opt_in(
    session: AsyncSession, app_id: UUID, author: Author, contact_id: UUID, channel: ChannelKind | None
) -> Contact:
    """Take back the opt-out of a channel; None takes back all there are.

    Raises:
        NotFound: no such contact in this app.
        Conflict: they opted out of every channel at once, which one channel cannot take back.
    """
    contact = await contacts.get(session, app_id, contact_id, lock=True, field="contactId")
    held = await _of(session, contact)
    if channel is not None and any(row.channel is None for row in held):
        raise Conflict(
            "They have opted out of every channel. Opt them in to every channel first, then out of the others.",
            field="channel",
        )
    for row in held:
        if channel in {None, row.channel}:
            await session.delete(row)
            _record(session, author, FactKind.CONTACT_OPTED_IN, contact, row)
    await session.flush()
    return contact


async def _of(session: AsyncSession, contact: Contact) -> Sequence[OptOut]:
    own = sa.select(OptOut).where(OptOut.app_id == contact.app_id, OptOut.contact_id == contact.id)
    return (await session.scalars(own.order_by(OptOut.id))).all()


def _record(session: AsyncSession, author: Author, kind: FactKind, contact: Contact, row: OptOut, **led: Any) -> None:
    """It happened to the contact; what the audit log shows is the opt-out."""
    facts.record(session, author, kind, contact, change=entries.change_of(session, row), channel=row.channel, **led)


async def refused(session: AsyncSession, app_id: UUID, asked: Sequence[Asked]) -> Mapping[int, Refusal]:
    """Who of `asked` must not be written to, by their place in it, in one statement.

    Args:
        session: the transaction that writes down the intent to send.
        app_id: whose contacts they are.
        asked: contact, channel, and the e-mail address or E.164 phone number that would be written to; 1,000 at most.
    """
    if not asked:
        return {}
    if len(asked) > ASKED_MOST:
        raise ValueError(f"{ASKED_MOST} at most can be asked at once")
    hashes = [_hashes(app_id, channel, address) for _, channel, address in asked]
    places = [no for no, held in enumerate(hashes) for _ in held]
    rows = (await session.execute(_REFUSED, {"app_id": app_id, **_columns(asked, hashes)})).all()
    return {places[at - 1]: Refusal.OPTED_OUT if opted_out else Refusal.SUPPRESSED for at, opted_out in rows}


def _columns(asked: Sequence[Asked], hashes: Sequence[Sequence[str | None]]) -> dict[str, list[object]]:
    """A row for each hash of what is asked: there is one of each key of the server."""
    return {
        "contact_ids": [one[0] for one, held in zip(asked, hashes, strict=True) for _ in held],
        "channels": [one[1].value for one, held in zip(asked, hashes, strict=True) for _ in held],
        "hashes": [hashed for held in hashes for hashed in held],
    }


def _hashes(app_id: UUID, channel: ChannelKind, address: str | None) -> Sequence[str | None]:
    if address is None or channel not in suppressions.ADDRESSED:
        return [None]
    return suppressions.address_hashes(app_id, channel, address.strip().lower())


def _refused() -> sa.Select[int, bool]:
    """Two looks at an index for each that is asked.

    OFFSET 0 keeps them so. Without, PostgreSQL reads all suppressed addresses of the app when it takes them for few.
    """
    app_id = sa.bindparam("app_id", type_=sa.UUID())
    arrays = (
        sa.bindparam("contact_ids", type_=ARRAY(sa.UUID())),
        sa.bindparam("channels", type_=ARRAY(sa.Text())),
        sa.bindparam("hashes", type_=ARRAY(sa.Text())),
    )
    names = (sa.column("contact_id", sa.UUID()), sa.column("channel", sa.Text()), sa.column("hash", sa.Text()))
    asked = sa.func.unnest(*arrays).table_valued(*names, with_ordinality="at").render_derived(name="asked")
    out = sa.select(OptOut.id).where(
        OptOut.app_id == app_id,
        OptOut.contact_id == asked.c.contact_id,
        sa.or_(OptOut.channel.is_(None), sa.type_coerce(OptOut.channel, sa.Text) == asked.c.channel),
    )
    suppressed = sa.select(Suppression.id).where(
        Suppression.app_id == app_id,
        sa.type_coerce(Suppression.channel, sa.Text) == asked.c.channel,
        Suppression.address_hash == asked.c.hash,
    )
    looks = (out.offset(0).exists().label("opted_out"), suppressed.offset(0).exists().label("suppressed"))
    found = sa.select(asked.c.at, *looks).subquery()
    return sa.select(found.c.at, found.c.opted_out).where(sa.or_(found.c.opted_out, found.c.suppressed))


_REFUSED = _refused()
