"""How somebody wants to be told in an app: in it or not, by mail or not, and when digests come."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.errors import Invalid
from domain import timing
from domain.audit import entries
from domain.notifications.types import KINDS, usual_email
from domain.principals import Principal
from models.apps import App
from models.notifications import (
    DigestPeriod,
    EmailMode,
    NotificationDigest,
    NotificationMailing,
    NotificationPreference,
    NotificationType,
)

_ACTION = "notification_preferences.updated"
Member = tuple[UUID, UUID]
"""An app and a person."""


@dataclass(frozen=True)
class Digest:
    """When digests come: every full hour, or every day at an hour, 0 to 23, of a time zone."""

    period: DigestPeriod = DigestPeriod.DAILY
    hour: int = 8
    time_zone: str = "UTC"

    def after(self, at: datetime) -> datetime:
        """The first instant behind `at` at which one comes."""
        if self.period is DigestPeriod.HOURLY:
            return timing.next_cron("0 * * * *", "UTC", at)
        return timing.next_cron(f"0 {self.hour} * * *", self.time_zone, at)


@dataclass(frozen=True)
class Preference:
    """How somebody is told of one type."""

    type: NotificationType
    in_app: bool
    email: EmailMode


@dataclass(frozen=True)
class Preferences:
    """How somebody is told, of each type that they may be told of."""

    types: list[Preference]
    digest: Digest


def visible(principal: Principal) -> list[NotificationType]:
    """The types that somebody may be told of."""
    return [type_ for type_, kind in KINDS.items() if kind.needs in principal.permissions]


async def look(session: AsyncSession, principal: Principal) -> Preferences:
    """The asker's own.

    Raises:
        Forbidden: they are no person.
    """
    theirs = (
        NotificationPreference.app_id == principal.app_id,
        NotificationPreference.user_id == principal.person(),
    )
    said = {row.type: row for row in await session.scalars(sa.select(NotificationPreference).where(*theirs))}
    app = await session.get_one(App, principal.app_id)
    types = [_preference(type_, said.get(type_), app) for type_ in visible(principal)]
    member = (principal.app_id, principal.person())
    return Preferences(types, (await digests(session, [member]))[member])


def _preference(type_: NotificationType, said: NotificationPreference | None, app: App) -> Preference:
    if said is not None:
        return Preference(type_, said.in_app, said.email)
    return Preference(type_, KINDS[type_].in_app, usual_email(type_, app))


async def set_preference(
    session: AsyncSession,
    principal: Principal,
    type_: NotificationType,
    *,
    in_app: bool | None = None,
    email: EmailMode | None = None,
) -> Preferences:
    """Say how the asker wants to be told of a type; what is None stays.

    Raises:
        Forbidden: they are no person.
        Invalid: they may not be told of this type.
    """
    before = {one.type: one for one in (await look(session, principal)).types}.get(type_)
    if before is None:
        raise Invalid("You may not see what this type tells of.", field="type")
    chosen = Preference(type_, before.in_app if in_app is None else in_app, email or before.email)
    values = {"in_app": chosen.in_app, "email": chosen.email}
    await _keep(session, principal, NotificationPreference, {"type": type_}, values)
    if chosen != before:
        _enter(session, principal, {"type": type_, **values})
    return await look(session, principal)


async def set_digest(session: AsyncSession, principal: Principal, **changes: Any) -> Preferences:
    """Say when the asker wants digests: `period`, `hour`, `time_zone`; what is left out stays.

    Raises:
        Forbidden: they are no person.
        Invalid: the hour is not within 0 to 23, or there is no such zone.
    """
    member = (principal.app_id, principal.person())
    before = (await digests(session, [member]))[member]
    chosen = replace(before, **changes)
    if not 0 <= chosen.hour < 24:
        raise Invalid("hour must be within 0 and 23.", field="hour")
    chosen = replace(chosen, time_zone=timing.zone(chosen.time_zone, "timeZone"))
    values = asdict(chosen)
    await _keep(session, principal, NotificationDigest, {}, values)
    if chosen != before:
        _enter(session, principal, values)
        waiting = sa.update(NotificationMailing).filter_by(app_id=member[0], user_id=member[1], mode=EmailMode.DIGEST)
        await session.execute(waiting.values(due_at=chosen.after(now())))
    return await look(session, principal)


async def digests(session: AsyncSession, members: Iterable[Member]) -> dict[Member, Digest]:
    """When each of some members wants digests."""
    wanted = list(members)
    key = sa.tuple_(NotificationDigest.app_id, NotificationDigest.user_id)
    rows = await session.scalars(sa.select(NotificationDigest).where(key.in_(wanted)))
    said = {(row.app_id, row.user_id): Digest(row.period, row.hour, row.time_zone) for row in rows}
    return {member: said.get(member, Digest()) for member in wanted}


async def _keep(
    session: AsyncSession, principal: Principal, model: Any, key: dict[str, Any], values: dict[str, Any]
) -> None:
    own = {"app_id": principal.app_id, "user_id": principal.person()} | key
    new = insert(model).values(own | values)
    await session.execute(new.on_conflict_do_update(index_elements=list(own), set_=values))


def _enter(session: AsyncSession, principal: Principal, after: dict[str, Any]) -> None:
    """An entry of the audit log; it is no fact, as nobody else has to do with it."""
    change = (None, {name: entries.plain(value) for name, value in after.items()})
    person, app_id = principal.person(), principal.app_id
    entries.enter(
        session, principal.author, _ACTION, app_id=app_id, entity="AdminUser", entity_id=person, change=change
    )
