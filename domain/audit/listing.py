"""Reading the audit log of an app. The id of an entry tells its time, so the newest are those with the highest id."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Invalid
from domain import checks
from domain.pages import Page, PageRequest, page
from models.audit import AuditEntry

ACTIONS_MOST = 50
TEXT_MOST = 100
ACTORS = ("user", "key", "device", "contact")


@dataclass(frozen=True)
class Filter:
    """Which entries are wanted; what is None does not matter.

    Attributes:
        actions: those of any of these kinds, e.g. `broadcast.updated`.
        actor_id: by this person, API key, device or contact.
        entity: about this kind of thing, e.g. `Broadcast`.
        entity_id: about this thing.
        ip: from this address.
        since: made at this instant or later.
        until: made before this instant.
    """

    actions: Sequence[str] | None = None
    actor_id: UUID | None = None
    entity: str | None = None
    entity_id: UUID | None = None
    ip: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def told(self) -> dict[str, Any]:
        """What is asked for, without what does not matter, as the audit log keeps it of an export."""
        return {name: value for name, value in asdict(self).items() if value is not None}


EVERYTHING = Filter()


async def listed(
    session: AsyncSession, app_id: UUID, request: PageRequest, wanted: Filter = EVERYTHING
) -> Page[AuditEntry]:
    """The entries of an app, newest first.

    Raises:
        Invalid: the filter contradicts itself, or is too long.
    """
    return await page(session, matching(app_id, wanted), AuditEntry.id, request, newest_first=True)


def matching(app_id: UUID, wanted: Filter) -> sa.Select[AuditEntry]:
    """The entries of an app that are wanted, in no order. Of the months only those are read that `wanted` reaches.

    Raises:
        Invalid: as `listed`.
    """
    _check(wanted)
    conditions = [AuditEntry.app_id == app_id, *_of_what(wanted), *_of_when(wanted)]
    return sa.select(AuditEntry).where(*conditions)


def _check(wanted: Filter) -> None:
    checks.at_most(list(wanted.actions or ()), "filter.actions", ACTIONS_MOST)
    if wanted.since and wanted.until and wanted.since >= wanted.until:
        raise Invalid("filter.until must be after filter.since.", field="filter.until")


def _of_what(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    texts = {AuditEntry.entity: wanted.entity, AuditEntry.ip: wanted.ip}
    found = [column == _text(value, column.key) for column, value in texts.items() if value is not None]
    if wanted.actions is not None:
        found.append(AuditEntry.action.in_([_text(one, f"actions.{at}") for at, one in enumerate(wanted.actions)]))
    if wanted.actor_id is not None:
        found.append(AuditEntry.actor.in_([f"{kind}:{wanted.actor_id}" for kind in ACTORS]))
    if wanted.entity_id is not None:
        found.append(AuditEntry.entity_id == wanted.entity_id)
    return found


def _text(value: str, name: str) -> str:
    return checks.text(value, f"filter.{name}", most=TEXT_MOST)


def _of_when(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    since = [AuditEntry.created_at >= wanted.since] if wanted.since else []
    return since + ([AuditEntry.created_at < wanted.until] if wanted.until else [])
