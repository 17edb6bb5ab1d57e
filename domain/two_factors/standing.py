"""Whether a person has a second factor, and whether their app requires one."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict
from domain import features, proofs
from domain.features import Feature
from domain.principals import Principal
from domain.settings import standing as settings
from domain.two_factors import backup_codes
from models.apps import App
from models.team import Membership, Role
from models.two_factors import TwoFactor

PRIVILEGED = frozenset({Role.OWNER, Role.ADMIN})
"""Who must have a second factor in an app that requires it."""


@dataclass(frozen=True)
class Standing:
    """How a person stands in an app.

    Attributes:
        is_confirmed: whether they have a second factor that counts.
        is_required: whether the app requires it of them.
    """

    is_confirmed: bool
    confirmed_at: datetime | None
    backup_codes_left: int
    is_required: bool


async def standing(session: AsyncSession, principal: Principal) -> Standing:
    """How the asker stands."""
    since = await confirmed_at(session, principal.person())
    return Standing(
        is_confirmed=since is not None,
        confirmed_at=since,
        backup_codes_left=await backup_codes.left(session, principal.person()),
        is_required=await _is_required(session, principal),
    )


async def confirmed_at(session: AsyncSession, user_id: UUID) -> datetime | None:
    """Since when a person has a second factor that counts; None when they have none."""
    return await session.scalar(sa.select(TwoFactor.confirmed_at).where(TwoFactor.user_id == user_id))


async def _is_required(session: AsyncSession, principal: Principal) -> bool:
    here = sa.and_(Membership.app_id == App.id, Membership.user_id == principal.person())
    known = sa.select(App.requires_two_factor, Membership.role).join(Membership, here)
    app = (await session.execute(known.where(App.id == principal.app_id))).one()
    return requires(app.requires_two_factor, app.role)


def requires(app_does: bool, role: Role) -> bool:
    """Whether a second factor is required of a role, in an app that requires it or does not."""
    return app_does and role in PRIVILEGED


async def require(session: AsyncSession, principal: Principal, required: bool) -> App:
    """Have the asker's app require the second factor of its owners and admins, or not. It counts at once.

    Raises:
        Forbidden: the asker is no person.
        Conflict: it is to be required by somebody who has none.
        FeatureDisabled: it is to be required where nobody can set one up.
    """
    user_id = principal.person()
    if required and await confirmed_at(session, user_id) is None:
        way_out = "Set up your own second factor first, with setUpTwoFactor; else you would lock yourself out."
        raise Conflict(way_out, field="requiresTwoFactor")
    app = await settings.get(session, principal.app_id, lock=True)
    if required:
        features.refuse(features.switched_off(app.features), Feature.TWO_FACTOR_AUTH)
    if app.requires_two_factor != required:
        app.requires_two_factor = required
        proofs.outdated(session)
        settings.tell(session, principal.author, app)
    return app
