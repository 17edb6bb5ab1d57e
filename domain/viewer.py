"""The person who asks: who they are, where they are, and what they may do there."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from domain import checks
from domain.audit import entries
from domain.permissions import Permission
from domain.principals import Principal
from models.apps import App
from models.team import AdminUser, Membership, Role


@dataclass(frozen=True)
class Viewer:
    """A person as they see themselves.

    Attributes:
        app: the one that their session is in.
        role, permissions: what they are and may do there, now.
        memberships: their place in each app that they belong to, the one they joined first comes first.
        must_set_up_two_factor: whether they may do nothing else before.
    """

    user: AdminUser
    app: App
    role: Role
    permissions: list[Permission]
    memberships: Sequence[Membership]
    must_set_up_two_factor: bool


async def look(session: AsyncSession, principal: Principal) -> Viewer:
    """The asker.

    Raises:
        Forbidden: it is no person of the team.
    """
    person = sa.select(AdminUser, App).join(App, App.id == principal.app_id)
    user, app = (await session.execute(person.where(AdminUser.id == principal.person()))).one()
    own = sa.select(Membership).where(Membership.user_id == user.id)
    memberships = (await session.scalars(own.order_by(Membership.created_at, Membership.id))).all()
    return Viewer(
        user=user,
        app=app,
        role=next(one.role for one in memberships if one.app_id == app.id),
        permissions=[one for one in Permission if one in principal.permissions],
        memberships=memberships,
        must_set_up_two_factor=principal.must_enrol,
    )


async def update(session: AsyncSession, principal: Principal, *, name: str) -> AdminUser:
    """Change how the asker is called, in all their apps.

    Raises:
        Invalid: the name is empty or longer than 100 characters.
    """
    own = sa.select(AdminUser).where(AdminUser.id == principal.person())
    user = (await session.scalars(own.with_for_update(key_share=True))).one()
    user.name = checks.text(name, "name", most=100)
    change, app_id = entries.change_of(session, user), principal.app_id
    if change != (None, None):
        author, entity = principal.author, "AdminUser"
        entries.enter(session, author, "user.updated", app_id=app_id, entity=entity, entity_id=user.id, change=change)
    return user
