"""Which app a command means: the one that is named, or the only one there is."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict, Invalid, NotFound
from models.apps import App
from models.team import AdminUser, Membership, Role

TOLD_MOST = 20
Owned = tuple[App, str]


async def choose(session: AsyncSession, *, app_id: UUID | None = None, email: str | None = None) -> App:
    """The app with this id, the app of the owner with this e-mail, or the only app.

    Raises:
        Invalid: id and e-mail are both given.
        NotFound: there is no such app.
        Conflict: several apps are meant; the message lists them.
    """
    if app_id and email:
        raise Invalid("Name the app by its id or by its owner's e-mail, not by both.")
    owned = sa.select(App, AdminUser.email).join(Membership, Membership.app_id == App.id)
    owned = owned.join(AdminUser, AdminUser.id == Membership.user_id).where(Membership.role == Role.OWNER)
    if app_id:
        owned = owned.where(App.id == app_id)
    if email:
        owned = owned.where(AdminUser.email == email.strip().lower())
    found = [(app, owner) for app, owner in await session.execute(owned.order_by(App.id).limit(TOLD_MOST + 1))]
    return _only(found, named=bool(app_id or email))


def _only(found: Sequence[Owned], *, named: bool) -> App:
    apps = {app.id: app for app, _ in found}
    if not apps:
        raise NotFound("There is no such app." if named else "There is no app yet; make one with create-app.")
    if len(apps) > 1:
        listed = "\n".join(f"  {app.id}  {app.name}  ({owner})" for app, owner in found[:TOLD_MOST])
        more = "\n  …" if len(found) > TOLD_MOST else ""
        raise Conflict(f"Several apps are meant; name one by its id:\n{listed}{more}")
    return next(iter(apps.values()))
