"""Notifications by mail: soon after they happen, or gathered in digests; only what is still unread by then.

A row says that a mail is due to somebody. It is taken in the transaction that queues the mail, so that each is written
once however many clocks run, and a digest at most once a period.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain import mails
from domain.notifications import clearing, letters, preferences
from domain.notifications.letters import Line
from domain.notifications.types import KINDS, usual_emails
from models.apps import App
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
    """Have a mail sent to each; one that is due already takes along what is new.

    Its row is held until the commit: who writes mails at this moment waits, and sees what is new.
    """
    if not people:
        return
    dues = await _dues(session, people, at)
    rows = [
        {"app_id": app_id, "user_id": user_id, "mode": mode, "due_at": dues[app_id, user_id, mode]}
        for app_id, user_id, mode in people
    ]
    new = insert(NotificationMailing)
    kept = new.on_conflict_do_update(index_elements=list(_KEY), set_={"due_at": NotificationMailing.due_at})
    await session.execute(kept, rows)


async def _dues(session: AsyncSession, people: Sequence[Due], at: datetime) -> dict[Due, datetime]:
    """When the next mail is due to each, of what happens at an instant."""
    members = {(app_id, user_id) for app_id, user_id, mode in people if mode is EmailMode.DIGEST}
    digests = await preferences.digests(session, members) if members else {}
    return {one: digests[one[:2]].after(at) if one[2] is EmailMode.DIGEST else at + DELAY for one in people}


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

    @property
    def due(self) -> Due:
        """By which mail it is told."""
        return self.app_id, self.user_id, self.mode

    def ripe_at(self, at: datetime) -> datetime:
        """From when on it may be told; `at` when it may be now."""
        if self.mode is EmailMode.DIGEST or self.emailed_at is None:
            return at
        return max(at, self.emailed_at + AGAIN)


async def write_due(session: AsyncSession) -> int:
    """Write the mails that are due; returns to how many people one was due. Who has read all meanwhile gets none.

    One at a time: while another does it there is nothing to do. Notifications are locked before the rows that say what
    is due, as `writing` does it.
    """
    if not await session.scalar(_TURN):
        return 0
    at = now()
    due = sa.select(*_KEY).where(NotificationMailing.due_at <= at).order_by(NotificationMailing.due_at).limit(AT_ONCE)
    people = [(app_id, user_id, mode) for app_id, user_id, mode in await session.execute(due)]
    if people:
        ripe = [one for one in await _unread(session, people, lock=True) if one.ripe_at(at) <= at]
        await _mail(session, ripe, at)
        await _plan_anew(session, people, at)
    return len(people)


async def _plan_anew(session: AsyncSession, people: Sequence[Due], at: datetime) -> None:
    """They are through, but for those to whom something is left to tell: too soon for now, or new at this moment."""
    key = sa.tuple_(*_KEY)
    await session.execute(sa.select(*_KEY).where(key.in_(people)).order_by(*_KEY).with_for_update())
    left, dues = dict[Due, datetime](), await _dues(session, people, at)
    for one in await _unread(session, people):
        left[one.due] = min(left.get(one.due, datetime.max.replace(tzinfo=UTC)), max(one.ripe_at(at), dues[one.due]))
    gone = sa.delete(NotificationMailing).where(key.in_([one for one in people if one not in left]))
    await session.execute(gone.execution_options(synchronize_session=False))
    for person, due_at in left.items():
        again = sa.update(NotificationMailing).where(key.in_([person])).values(due_at=due_at)
        await session.execute(again.execution_options(synchronize_session=False))


async def _unread(session: AsyncSession, due: Sequence[Due], *, lock: bool = False) -> list[Unread]:
    """What nobody has read or mailed, of the types that each wants by this mode and may see; the newest first."""
    wanted = _unmailed().where(sa.tuple_(Notification.app_id, Notification.user_id).in_([one[:2] for one in due]))
    if lock:
        wanted = wanted.order_by(*clearing.IN_ORDER).with_for_update(of=Notification, key_share=True)
    found, asked = [Unread(*row) for row in await session.execute(wanted)], set(due)
    return sorted((one for one in found if one.due in asked), key=lambda one: one.last_at, reverse=True)


def _unmailed() -> sa.Select[Any]:
    """The columns of `Unread`, of everybody."""
    preferred = sa.and_(
        NotificationPreference.app_id == Notification.app_id,
        NotificationPreference.user_id == Notification.user_id,
        NotificationPreference.type == Notification.type,
    )
    there = sa.and_(Membership.app_id == Notification.app_id, Membership.user_id == Notification.user_id)
    usual = sa.cast(usual_emails(Notification.type.expression), NotificationPreference.email.type)
    mode = sa.func.coalesce(NotificationPreference.email, usual)
    may = [sa.and_(Notification.type == type_, Membership.role.in_(kind.roles)) for type_, kind in KINDS.items()]
    names = [field.name for field in fields(Unread)]
    columns: list[Any] = [mode if name == "mode" else getattr(Notification, name) for name in names]
    rows = sa.select(*columns).join(App, App.id == Notification.app_id).join(Membership, there)
    rows = rows.outerjoin(NotificationPreference, preferred)
    return rows.where(Notification.read_at.is_(None), Notification.unmailed, sa.or_(*may))


async def _mail(session: AsyncSession, unread: Sequence[Unread], at: datetime) -> None:
    """A mail to each, of all that they have not read."""
    if not unread:
        return
    told = sa.update(Notification).where(clearing.any_of([one.id for one in unread]))
    await session.execute(told.values(unmailed=False, emailed_at=at).execution_options(synchronize_session=False))
    theirs = defaultdict[Due, list[Unread]](list)
    for one in unread:
        theirs[one.due].append(one)
    most = letters.LINES_MOST
    names = await letters.names(session, [one for some in theirs.values() for one in some[:most]])
    people = sa.select(AdminUser.id, AdminUser.email).where(AdminUser.id.in_({user_id for _, user_id, _ in theirs}))
    addresses = dict((await session.execute(people)).all())
    for (app_id, user_id, mode), some in theirs.items():
        lines = [Line(one.type, one.count, names.get(one.entity_id)) for one in some[:most]]
        letter = letters.letter(names[app_id] or "", mode, lines, len(some))
        mails.queue(session, to=addresses[user_id], subject=letter.subject, body=letter.body, app_id=app_id)
