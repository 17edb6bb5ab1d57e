"""Suppressed addresses: never written to, whoever has them.

They are found by a keyed hash, so that the address of a contact who was erased can be refused and not be known.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Invalid, NotFound
from core.ids import new_id
from core.security import keyed_hashes
from domain import checks, facts
from domain.pages import Page, PageRequest, page
from domain.principals import Author
from models.channels import ChannelKind
from models.contacts import Contact
from models.facts import FactKind
from models.opt_outs import OptOut
from models.suppressions import Suppression, SuppressionReason

PURPOSE = "suppression"
ADDRESSED = (ChannelKind.EMAIL, ChannelKind.WHATSAPP)
"""The channels that write to an address."""


def address_hashes(app_id: UUID, channel: ChannelKind, address: str) -> list[str]:
    """What an address of a contact is found by; other apps and channels have other ones.

    One of each key of the server: the first is kept, by the others is found what older keys have made.
    """
    return keyed_hashes(f"{app_id}:{channel}:{address}", PURPOSE)


def _normal(channel: ChannelKind, address: str) -> str:
    if channel not in ADDRESSED:
        raise Invalid("Only EMAIL and WHATSAPP have addresses; opt the contact out instead.", field="channel")
    return checks.email(address, "address") if channel is ChannelKind.EMAIL else checks.phone(address, "address")


async def suppress(
    session: AsyncSession,
    app_id: UUID,
    author: Author,
    channel: ChannelKind,
    address: str,
    reason: SuppressionReason,
) -> Suppression:
    """Have an address never written to. One that is suppressed already stays as it is; ERASED keeps the hash alone.

    Raises:
        Invalid: the channel has no addresses, or this is none of its.
    """
    normal = _normal(channel, address)
    hashes = address_hashes(app_id, channel, normal)
    if known := await _locked(session, app_id, channel, hashes):
        return known
    shown = None if reason is SuppressionReason.ERASED else normal
    row = Suppression(id=new_id(), app_id=app_id, channel=channel, address=shown, address_hash=hashes[0], reason=reason)
    session.add(row)
    facts.record(session, author, FactKind.ADDRESS_SUPPRESSED, row)
    await session.flush()
    return row


async def unsuppress(
    session: AsyncSession, app_id: UUID, author: Author, channel: ChannelKind, address: str
) -> Suppression:
    """Let an address be written to again.

    Raises:
        Invalid: as in `suppress`.
        NotFound: it is not suppressed.
    """
    row = await _locked(session, app_id, channel, address_hashes(app_id, channel, _normal(channel, address)))
    if row is None:
        raise NotFound("This address is not suppressed.", field="address")
    await session.delete(row)
    facts.record(session, author, FactKind.ADDRESS_UNSUPPRESSED, row)
    await session.flush()
    return row


async def _locked(
    session: AsyncSession, app_id: UUID, channel: ChannelKind, hashes: Sequence[str]
) -> Suppression | None:
    """The suppression of an address. Who comes for the same one at the same time waits, as there may be no row yet."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(hashes[0], 0))))
    own = sa.select(Suppression).where(
        Suppression.app_id == app_id, Suppression.channel == channel, Suppression.address_hash.in_(hashes)
    )
    found: Suppression | None = await session.scalar(own)
    return found


async def listed(
    session: AsyncSession,
    app_id: UUID,
    request: PageRequest,
    *,
    channel: ChannelKind | None = None,
    address: str | None = None,
) -> Page[Suppression]:
    """The suppressed addresses of an app, the newest first; by `address`, also those that are known by hash alone.

    Raises:
        Invalid: the address is neither an e-mail address nor a phone number, or not of the channel.
    """
    rows = sa.select(Suppression).where(Suppression.app_id == app_id)
    if channel is not None:
        rows = rows.where(Suppression.channel == channel)
    if address is not None:
        meant = channel or (ChannelKind.EMAIL if "@" in address else ChannelKind.WHATSAPP)
        rows = rows.where(Suppression.address_hash.in_(address_hashes(app_id, meant, _normal(meant, address))))
    return await page(session, rows, Suppression.id, request, newest_first=True)


async def forget(session: AsyncSession, contact: Contact) -> None:
    """Keep of the addresses of a contact who is erased nothing but hashes.

    What the contact has opted out of stays refused, should somebody bring the address back.
    """
    addresses = {ChannelKind.EMAIL: contact.emails, ChannelKind.WHATSAPP: contact.phones}
    hashes = {
        channel: [address_hashes(contact.app_id, channel, one) for one in held] for channel, held in addresses.items()
    }
    every = [hashed for held in hashes.values() for one in held for hashed in one]
    known = sa.update(Suppression).where(Suppression.app_id == contact.app_id, Suppression.address_hash.in_(every))
    await session.execute(known.values(address=None).execution_options(synchronize_session=False))
    await _keep_refusing(session, contact, hashes)


async def _keep_refusing(
    session: AsyncSession, contact: Contact, hashes: Mapping[ChannelKind, Sequence[Sequence[str]]]
) -> None:
    own = sa.select(OptOut.channel).where(OptOut.app_id == contact.app_id, OptOut.contact_id == contact.id)
    refused = set(await session.scalars(own))
    shared = {"app_id": contact.app_id, "reason": SuppressionReason.ERASED}
    rows = [
        {"id": new_id(), "channel": channel, "address_hash": one[0], **shared}
        for channel, held in hashes.items()
        if refused & {channel, None}
        for one in held
    ]
    if rows:
        await session.execute(insert(Suppression).on_conflict_do_nothing(), rows)
