"""Why a contact gets a broadcast or not, and why they got it or not: before it is sent and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain import contacts, opt_outs
from domain.broadcasts import audience
from domain.broadcasts.queries import get
from models.broadcasts import Broadcast, BroadcastRecipient, BroadcastStatus, RecipientStatus
from models.channels import ChannelKind
from models.contacts import Contact
from models.devices import Device


class Verdict(StrEnum):
    """What becomes, or became, of a contact."""

    WILL_GET = "WILL_GET"
    NOT_IN_TARGET = "NOT_IN_TARGET"
    UNREACHABLE = "UNREACHABLE"
    OPTED_OUT = "OPTED_OUT"
    SUPPRESSED = "SUPPRESSED"
    WAITING = "WAITING"
    GOT = "GOT"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"
    UNCERTAIN = "UNCERTAIN"
    CANCELLED = "CANCELLED"
    JOINED_LATER = "JOINED_LATER"


@dataclass(frozen=True)
class Explanation:
    """The answer, and the rows of the contact's devices and mailbox that it rests on; none before the sending."""

    verdict: Verdict
    recipients: Sequence[BroadcastRecipient]


_GOT = {RecipientStatus.SENT, RecipientStatus.DELIVERED, RecipientStatus.OPENED, RecipientStatus.CLICKED}
_WAITS = {RecipientStatus.PENDING, RecipientStatus.DEFERRED}


async def explain(session: AsyncSession, app_id: UUID, broadcast_id: UUID, contact_id: UUID) -> Explanation:
    """What becomes, or became, of a contact. Quiet hours and caps are not foretold: they depend on the moment.

    Raises:
        NotFound: the app has no such broadcast, or no such contact.
    """
    broadcast = await get(session, app_id, broadcast_id, field="broadcastId")
    await contacts.get(session, app_id, contact_id, field="contactId")
    own = sa.select(BroadcastRecipient).where(
        BroadcastRecipient.broadcast_id == broadcast_id, BroadcastRecipient.contact_id == contact_id
    )
    rows = (await session.scalars(own.order_by(BroadcastRecipient.seq))).all()
    if rows:
        return Explanation(_of_rows(broadcast, rows), rows)
    return Explanation(await _without_rows(session, broadcast, contact_id), rows)


def _of_rows(broadcast: Broadcast, rows: Sequence[BroadcastRecipient]) -> Verdict:
    """One device that got it is enough."""
    statuses = {row.status for row in rows}
    if statuses & _GOT:
        return Verdict.GOT
    if statuses & _WAITS:
        return Verdict.CANCELLED if broadcast.status is BroadcastStatus.CANCELLED else Verdict.WAITING
    furthest = next(
        one for one in (RecipientStatus.UNCERTAIN, RecipientStatus.FAILED, RecipientStatus.SKIPPED) if one in statuses
    )
    return Verdict(furthest.value)


async def _without_rows(session: AsyncSession, broadcast: Broadcast, contact_id: UUID) -> Verdict:
    """Before the sending: whether they would get it now. After it: whether they would by now, too late."""
    meant = sa.select(sa.exists().where(Contact.id == contact_id, audience.contacts(broadcast, now())))
    if not await session.scalar(meant):
        return Verdict.NOT_IN_TARGET
    ways = await _ways(session, broadcast, contact_id)
    if not ways:
        return Verdict.UNREACHABLE
    if broadcast.expanded_at is not None:
        return Verdict.JOINED_LATER
    if broadcast.status is BroadcastStatus.CANCELLED:
        return Verdict.CANCELLED
    refused = await opt_outs.refused(session, broadcast.app_id, [(contact_id, *way) for way in ways])
    if len(refused) == len(ways):
        return Verdict(next(iter(refused.values())).value)
    return (
        Verdict.WAITING if broadcast.status in {BroadcastStatus.SENDING, BroadcastStatus.PAUSED} else Verdict.WILL_GET
    )


async def _ways(session: AsyncSession, broadcast: Broadcast, contact_id: UUID) -> list[tuple[ChannelKind, str | None]]:
    """The ways by which they would be reached."""
    theirs = sa.select(Device.push_token).where(Device.contact_id == contact_id, audience.reaches(broadcast.channels))
    tokens = (await session.scalars(theirs)).all()
    by_push = [ChannelKind.PUSH] if ChannelKind.PUSH in broadcast.channels and any(tokens) else []
    in_app = [ChannelKind.IN_APP] if ChannelKind.IN_APP in broadcast.channels and tokens else []
    mailbox = sa.select(Contact.emails).where(Contact.id == contact_id, audience.has_mailbox(broadcast.channels))
    emails = await session.scalar(mailbox)
    return [(way, None) for way in (*by_push, *in_app)] + ([(ChannelKind.EMAIL, emails[0])] if emails else [])
