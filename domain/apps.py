"""Apps, and how one comes to be."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict, Invalid, NotFound
from core.ids import new_id
from core.security import hash_password
from domain import checks, facts
from models.apps import App
from models.facts import FactKind
from models.team import AdminUser, Membership, Role

PASSWORD_LEAST = 12
PASSWORD_MOST = 128


def check_password(password: str) -> None:
    """Refuse a password that is too short to be safe or too long to hash.

    Raises:
        Invalid: fewer than 12 or more than 128 characters.
    """
    if not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST:
        raise Invalid(f"A password has {PASSWORD_LEAST} to {PASSWORD_MOST} characters.", field="password")


async def create(session: AsyncSession, *, name: str, email: str, password: str, owner_name: str) -> Membership:
    """A new app and the person who owns it.

    Raises:
        Invalid: a field breaks its rule.
        Conflict: the e-mail is taken.
    """
    check_password(password)
    app = App(id=new_id(), name=checks.text(name, "appName", most=100))
    owner = AdminUser(
        id=new_id(),
        email=checks.email(email, "email"),
        name=checks.text(owner_name, "name", most=100),
        password_hash=await hash_password(password),
    )
    await _refuse_taken(session, owner.email)
    session.add_all([app, owner])
    await session.flush()
    membership = Membership(app_id=app.id, user_id=owner.id, role=Role.OWNER)
    session.add(membership)
    facts.record(session, app.id, FactKind.APP_CREATED, app.id, actor=f"user:{owner.id}")
    await session.flush()
    return membership


async def _refuse_taken(session: AsyncSession, email: str) -> None:
    """Two sign-ups with one e-mail wait for each other on a lock of that e-mail, so one sees the other."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(email, 0))))
    if await session.scalar(sa.select(AdminUser.id).where(AdminUser.email == email)):
        raise Conflict("An account with this e-mail exists; sign in instead.", field="email")


async def get(session: AsyncSession, app_id: UUID) -> App:
    """The app.

    Raises:
        NotFound: it is gone.
    """
    app = await session.get(App, app_id)
    if app is None:
        raise NotFound("There is no such app.")
    return app
