"""Notifications by mail: soon after they happen, or gathered in digests; only what is still unread by then.

A row says that a mail is due to somebody. It is taken in the transaction that queues the mail, so that each is written
once however many clocks run, and a digest at most once a period.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain import mails
from domain.notifications import clearing, letters, preferences
from domain.notifications.letters import Line
from domain.notifications.types import KINDS
from models.notifications import (
    EmailMode,
    Notification,
    NotificationMailing,
    NotificationPreference,
    NotificationType,
)
from models.team import AdminUser, Membership

DELAY = timedelta(minutes=2)
"""Who reads within it in the app gets no mail; what else happens within it goes along."""
AGAIN = timedelta(hours=1)
"""Of one thing no second mail is sent at once before this is over."""
AT_ONCE = 50
"""Mails that a look writes at most."""
_TURN = sa.select(sa.func.pg_try_advisory_xact_lock(sa.func.hashtextextended("notification_mailings", 0)))
_KEY = (NotificationMailing.app_id, NotificationMailing.user_id, NotificationMailing.mode)
Due = tuple[UUID, UUID, EmailMode]
"""An app, a person, and by which mode they are told."""


async def plan(session: AsyncSession, people: Sequence[Due], at: datetime) -> None:
    """Have a mail sent to each, unless one is due already."""
    if not people:
        return
    digests = await preferences.digests(
        session, [(app_id, user_id) for app_id, user_id, mode in people if mode is EmailMode.DIGEST]
    )
    rows = [
        {
            "app_id": app_id,
            "user_id": user_id,
            "mode": mode,
            "due_at": at + DELAY if mode is EmailMode.AT_ONCE else digests[app_id, user_id].after(at),
        }
        for app_id, user_id, mode in people
    ]
    await session.execute(insert(NotificationMailing).on_conflict_do_nothing(), rows)


@dataclass(frozen=True)
class Unread:
    """A notification that is not read and not mailed, to whom."""

    app_id: UUID
    user_id: UUID
    mode: EmailMode
    id: UUID
    type: NotificationType
    entity_id: UUID
    conversation_id: UUID | None
    count: int
    last_at: datetime
    emailed_at: datetime | None


async def write_due(session: AsyncSession) -> int:
    """Write the mails that are due; returns to how many people one was due. Who has read all meanwhile gets none.

    One at a time: while another does it there is nothing to do.
    """
    if not await session.scalar(_TURN):
        return 0
    taken = await _due(session)
    if not taken:
        return 0
    at = now()
    ripe, later = defaultdict[Due, list[Unread]](list), dict[Due, datetime]()
    for one in await _unread(session, taken):
        key: Due = (one.app_id, one.user_id, one.mode)
        if one.mode is EmailMode.AT_ONCE and one.emailed_at and one.emailed_at + AGAIN > at:
            later[key] = min(later.get(key, at + AGAIN), one.emailed_at + AGAIN)
        else:
            ripe[key].append(one)
    await _settle(session, taken, later)
    await _mail(session, ripe, at)
    return len(taken)


async def _due(session: AsyncSession) -> list[Due]:
    """Those who are due, the longest waiting first."""
    due = sa.select(*_KEY).where(NotificationMailing.due_at <= now()).order_by(NotificationMailing.due_at)
    # whose membership is going at this moment is passed over
    found = await session.execute(due.limit(AT_ONCE).with_for_update(skip_locked=True))
    return [(app_id, user_id, mode) for app_id, user_id, mode in found]


async def _settle(session: AsyncSession, due: Sequence[Due], later: dict[Due, datetime]) -> None:
    """They are through, but for those of whom something is to be told later."""
    key = sa.tuple_(*_KEY)
    gone = sa.delete(NotificationMailing).where(key.in_([one for one in due if one not in later]))
    await session.execute(gone.execution_options(synchronize_session=False))
    for one, due_at in later.items():
        again = sa.update(NotificationMailing).where(key.in_([one])).values(due_at=due_at)
        await session.execute(again.execution_options(synchronize_session=False))


async def _unread(session: AsyncSession, due: Sequence[Due]) -> list[Unread]:
    """What nobody has read or mailed, of the types that each wants by this mode and may see; the newest first."""
    member = sa.tuple_(Notification.app_id, Notification.user_id)
    preferred = sa.and_(
        NotificationPreference.app_id == Notification.app_id,
        NotificationPreference.user_id == Notification.user_id,
        NotificationPreference.type == Notification.type,
    )
    there = sa.and_(Membership.app_id == Notification.app_id, Membership.user_id == Notification.user_id)
    usual = sa.case({type_: kind.email.value for type_, kind in KINDS.items()}, value=Notification.type)
    mode = sa.func.coalesce(NotificationPreference.email, sa.cast(usual, NotificationPreference.email.type))
    may = [sa.and_(Notification.type == type_, Membership.role.in_(kind.roles)) for type_, kind in KINDS.items()]
    columns: list[Any] = [
        mode if name == "mode" else getattr(Notification, name) for name in (field.name for field in fields(Unread))
    ]
    rows = sa.select(*columns).join(Membership, there).outerjoin(NotificationPreference, preferred)
    waiting = (Notification.read_at.is_(None), Notification.unmailed, sa.or_(*may))
    wanted = rows.where(member.in_([(app_id, user_id) for app_id, user_id, _ in due]), *waiting)
    found = await session.execute(wanted.order_by(Notification.last_at.desc()))
    asked = set(due)
    return [one for one in (Unread(*row) for row in found) if (one.app_id, one.user_id, one.mode) in asked]


async def _mail(session: AsyncSession, ripe: dict[Due, list[Unread]], at: datetime) -> None:
    ids = [one.id for unread in ripe.values() for one in unread]
    if not ids:
        return
    told = sa.update(Notification).where(clearing.any_of(ids)).values(unmailed=False, emailed_at=at)
    await session.execute(told.execution_options(synchronize_session=False))
    names = await letters.names(session, [one for unread in ripe.values() for one in unread[: letters.LINES_MOST]])
    people = sa.select(AdminUser.id, AdminUser.email).where(AdminUser.id.in_({user_id for _, user_id, _ in ripe}))
    addresses = dict((await session.execute(people)).tuples())
    for (app_id, user_id, mode), unread in ripe.items():
        lines = [Line(one.type, one.count, names.get(one.entity_id)) for one in unread[: letters.LINES_MOST]]
        letter = letters.letter(names[app_id] or "", mode, lines, len(unread))
        mails.queue(session, to=addresses[user_id], subject=letter.subject, body=letter.body, app_id=app_id)
