"""What somebody does with the notifications that are theirs in an app: list, count, read, put away."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.errors import NotFound
from domain import checks
from domain.notifications import clearing, telling
from domain.notifications.preferences import visible
from domain.pages import Page, PageRequest, page
from domain.principals import Principal
from models.notifications import Notification, NotificationType

AT_ONCE = 100
COUNTED_MOST = 100
"""Unread ones are counted up to here: 100 says that there are 100 or more."""


@dataclass(frozen=True)
class Filter:
    """Which: of some types, all when there is none; read or not, None for both; put away or not."""

    types: Sequence[NotificationType] = ()
    unread: bool | None = None
    archived: bool = False


async def listed(
    session: AsyncSession, principal: Principal, wanted: Filter, request: PageRequest
) -> Page[Notification]:
    """A page of the asker's own, the newest first.

    Raises:
        Forbidden: they are no person.
    """
    rows = _theirs(principal).where(Notification.archived.is_(wanted.archived))
    if wanted.types:
        rows = rows.where(Notification.type.in_(wanted.types))
    if wanted.unread is not None:
        unread = Notification.read_at.is_(None)
        rows = rows.where(unread if wanted.unread else ~unread)
    return await page(session, rows, (Notification.last_at, Notification.id), request, newest_first=True)


def _theirs(principal: Principal) -> sa.Select[Any]:
    return sa.select(Notification).where(
        Notification.app_id == principal.app_id,
        Notification.user_id == principal.person(),
        Notification.in_app,
        Notification.type.in_(visible(principal)),
    )


async def unread_count(session: AsyncSession, principal: Principal) -> int:
    """How many of the asker's own are unread, 100 at most.

    Raises:
        Forbidden: they are no person.
    """
    some = _theirs(principal).with_only_columns(sa.literal(1)).where(Notification.read_at.is_(None))
    return await session.scalar(sa.select(sa.func.count()).select_from(some.limit(COUNTED_MOST).subquery())) or 0


async def mark_read(session: AsyncSession, principal: Principal, ids: Sequence[UUID]) -> Sequence[Notification]:
    """Mark some as read; twice is the same.

    Raises:
        Forbidden: the asker is no person.
        Invalid: there are more than 100.
        NotFound: one is not theirs.
    """
    await _held(session, principal, ids)
    await clearing.read(session, _ids(principal, ids), principal.actor)
    return await _named(session, principal, ids)


async def mark_unread(session: AsyncSession, principal: Principal, ids: Sequence[UUID]) -> Sequence[Notification]:
    """Make some unread again, back in the list where they were put away. They stay so until the asker reads them.

    Raises:
        Forbidden, Invalid, NotFound: as in `mark_read`.
    """
    await _held(session, principal, ids)
    is_read = sa.or_(Notification.read_at.is_not(None), Notification.archived)
    await _change(session, principal, _ids(principal, ids).where(is_read), read_at=None, archived=False)
    return await _named(session, principal, ids)


async def archive(session: AsyncSession, principal: Principal, ids: Sequence[UUID]) -> Sequence[Notification]:
    """Read some and put them away; twice is the same.

    Raises:
        Forbidden, Invalid, NotFound: as in `mark_read`.
    """
    await _held(session, principal, ids)
    listed_ = _ids(principal, ids).where(Notification.archived.is_(False))
    read_at = sa.func.coalesce(Notification.read_at, now())
    await _change(session, principal, listed_, archived=True, read_at=read_at, **clearing.READ)
    return await _named(session, principal, ids)


async def mark_all_read(session: AsyncSession, principal: Principal, until: datetime | None = None) -> int:
    """Mark all as read, or those of which nothing has happened since `until`; how many these were.

    Raises:
        Forbidden: the asker is no person.
    """
    rows = _theirs(principal).with_only_columns(Notification.id)
    if until is not None:
        rows = rows.where(Notification.last_at <= until)
    return len(await clearing.read(session, rows, principal.actor))


async def _held(session: AsyncSession, principal: Principal, ids: Sequence[UUID]) -> None:
    """Lock them, in the one order."""
    checks.at_most(list(ids), "ids", AT_ONCE)
    rows = _ids(principal, ids).order_by(*clearing.IN_ORDER).with_for_update(key_share=True)
    if set(ids) - set(await session.scalars(rows)):
        raise NotFound("There is no such notification among yours.", field="ids")


def _ids(principal: Principal, ids: Sequence[UUID]) -> sa.Select[Any]:
    return _theirs(principal).with_only_columns(Notification.id).where(Notification.id.in_(ids))


async def _change(session: AsyncSession, principal: Principal, ids: sa.Select[Any], **values: Any) -> None:
    """Change some that are locked, and tell the asker's windows."""
    changed = sa.update(Notification).where(Notification.id.in_(ids)).values(values).returning(Notification.id)
    found = (await session.scalars(changed.execution_options(synchronize_session=False))).all()
    member = (principal.app_id, principal.person())
    telling.changed(session, [(*member, id_) for id_ in found], principal.actor)


async def _named(session: AsyncSession, principal: Principal, ids: Sequence[UUID]) -> Sequence[Notification]:
    """In the order in which they were named."""
    rows = {row.id: row for row in await session.scalars(_theirs(principal).where(Notification.id.in_(ids)))}
    return [rows[id_] for id_ in dict.fromkeys(ids)]
