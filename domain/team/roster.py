"""What every change of a team begins with: one change at a time, by somebody who is in, within their reach."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Forbidden, NotFound
from domain.permissions import outranks
from domain.principals import Principal
from models.apps import App
from models.team import Membership, Role


async def hold(session: AsyncSession, principal: Principal) -> Membership:
    """The asker's own membership, with the team locked: changes of a team wait for each other on the row of its app.

    So each sees what the last one left, the role of who asks among it.

    Raises:
        Forbidden: they are no person, or have left the team.
    """
    app_id, user_id = principal.app_id, principal.person()
    await session.execute(sa.select(App.id).where(App.id == app_id).with_for_update(key_share=True))
    own = sa.select(Membership).where(Membership.app_id == app_id, Membership.user_id == user_id)
    asker = await session.scalar(own)
    if asker is None:
        raise Forbidden("You are no longer in this team.")
    return asker


async def within_reach(session: AsyncSession, asker: Membership, membership_id: UUID) -> Membership:
    """A member of the asker's team whom the asker may change.

    Raises:
        NotFound: there is no such member.
        Forbidden: the member's role is above the asker's.
    """
    known = sa.select(Membership).where(Membership.app_id == asker.app_id, Membership.id == membership_id)
    member = await session.scalar(known)
    if member is None:
        raise NotFound("There is no such member in the team.", field="id")
    if outranks(member.role, asker.role):
        raise Forbidden("Their role is above your own; ask an owner.", field="id")
    return member


def refuse_above(role: Role, asker: Membership) -> None:
    """Refuse to give a role that the asker has not got.

    Raises:
        Forbidden: it is above their own.
    """
    if outranks(role, asker.role):
        raise Forbidden("Nobody gives a role above their own; ask an owner.", field="role")
