"""The recipients of a broadcast as a whole: slice by slice, so that none of them has to fit into memory."""

from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa

from core.database import transaction
from domain.audit import exporting
from domain.audit.exporting import Export
from domain.broadcasts import queries
from domain.broadcasts.recipients import Filter, matching
from domain.principals import Principal
from models.broadcasts import Broadcast, BroadcastRecipient
from models.contacts import Contact

AT_ONCE = 1_000
EXPORT = Export("Recipients are", "recipients-export", "broadcast.exported", "Broadcast")


class Line(NamedTuple):
    """A recipient, and what is known of the contact: nothing when they were erased."""

    recipient: BroadcastRecipient
    external_id: str | None
    name: str | None
    email: str | None


async def begin(principal: Principal, broadcast_id: UUID, wanted: Filter) -> None:
    """Count an export and enter it in the audit log, with what it is of. Has its own transactions.

    Raises:
        NotFound: the app has no such broadcast.
        Invalid: as `recipients.listed`.
        RateLimited: more than ten within an hour.
    """
    matching(broadcast_id, wanted)
    async with transaction() as session:
        await queries.get(session, principal.app_id, broadcast_id)
    await exporting.begin(principal, EXPORT, wanted.told(), broadcast_id)


async def slice_after(app_id: UUID, broadcast_id: UUID, wanted: Filter, after: int) -> list[Line]:
    """The next 1,000 recipients behind the number `after`. Empty at the end. Has its own transaction."""
    rows, of, runs = matching(broadcast_id, wanted)
    own = sa.and_(Broadcast.id == of.broadcast_id, Broadcast.app_id == app_id)
    known = rows.add_columns(Contact.external_id, Contact.name, Contact.emails[1])
    lines = known.join(Broadcast, own).outerjoin(Contact, Contact.id == of.contact_id).where(of.seq > after)
    if runs:
        lines = lines.where(runs.last > after).order_by(runs.no)
    async with transaction() as session:
        return [Line(*row) for row in await session.execute(lines.order_by(of.seq).limit(AT_ONCE))]
