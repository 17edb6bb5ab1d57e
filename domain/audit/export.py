"""The audit log of an app as a whole: slice by slice, so that none of them has to fit into memory or to stand still."""

from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa

from core.database import transaction
from domain.audit import exporting
from domain.audit.exporting import Export
from domain.audit.listing import Filter, matching
from domain.principals import Principal
from models.audit import AuditEntry
from models.team import AdminUser

AT_ONCE = 500
PERSON = "user:"
EXPORT = Export("The audit log is", "audit-export", "audit.exported", "AuditEntry")


class Line(NamedTuple):
    """An entry, and the e-mail of the person who made it: None when it was none, or their account is gone."""

    entry: AuditEntry
    email: str | None


async def begin(principal: Principal, wanted: Filter) -> None:
    """Count an export and enter it in the log, with what it is of. Has its own transaction.

    Raises:
        Invalid: as `listing.listed`.
        RateLimited: more than ten within an hour.
    """
    matching(principal.app_id, wanted)
    await exporting.begin(principal, EXPORT, wanted.told())


async def slice_below(app_id: UUID, wanted: Filter, below: UUID | None) -> list[Line]:
    """The next 500 entries, newest first: those whose id is below `below`, the newest of all when that is None.

    Empty at the end. Has its own transactions, as what lasts as long as a download must not hold one.
    """
    rows = matching(app_id, wanted).order_by(AuditEntry.id.desc()).limit(AT_ONCE)
    async with transaction() as session:
        found = (await session.scalars(rows.where(AuditEntry.id < below) if below else rows)).all()
    emails = await _emails({entry.actor for entry in found})
    return [Line(entry, emails.get(entry.actor)) for entry in found]


async def _emails(actors: set[str]) -> dict[str, str]:
    """The e-mails of the people among `actors`; some may have left the team since."""
    ids = [UUID(actor.removeprefix(PERSON)) for actor in actors if actor.startswith(PERSON)]
    if not ids:
        return {}
    async with transaction(across_apps=True) as session:
        people = await session.execute(sa.select(AdminUser.id, AdminUser.email).where(AdminUser.id.in_(ids)))
        return {f"{PERSON}{id_}": email for id_, email in people}
