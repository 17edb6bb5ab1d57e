"""Apps, and how one comes to be."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.config import config
from core.errors import Conflict, NotFound
from core.ids import new_id
from core.security import hash_password
from domain import checks, facts, passwords
from domain.audit import entries
from domain.principals import NOWHERE, Author, Caller
from models.apps import App
from models.facts import FactKind
from models.team import AdminUser, Membership, Role


async def create(
    session: AsyncSession, *, name: str, email: str, password: str, owner_name: str, caller: Caller = NOWHERE
) -> Membership:
    """A new app and the person who owns it. `caller` is where they are.

    Raises:
        Invalid: a field breaks its rule.
        Conflict: the e-mail is taken.
    """
    await passwords.check(password, known=(email, owner_name, name))
    hashed = await hash_password(password)
    return await add(session, name=name, email=email, password_hash=hashed, owner_name=owner_name, caller=caller)


async def add(
    session: AsyncSession, *, name: str, email: str, password_hash: str, owner_name: str, caller: Caller = NOWHERE
) -> Membership:
    """The same for a password that was hashed before.

    Raises:
        Invalid: a field breaks its rule.
        Conflict: the e-mail is taken.
    """
    app = App(
        id=new_id(),
        name=checks.text(name, "appName", most=100),
        requires_two_factor=config().two_factor_required,
    )
    owner = AdminUser(
        id=new_id(),
        email=checks.mailbox(email, "email"),
        name=checks.text(owner_name, "name", most=100),
        password_hash=password_hash,
    )
    await refuse_taken(session, owner.email)
    session.add_all([app, owner])
    made = entries.change_of(session, app)
    await session.flush()
    membership = Membership(app_id=app.id, user_id=owner.id, role=Role.OWNER)
    session.add(membership)
    author = Author(f"user:{owner.id}", caller.ip)
    facts.record(session, author, FactKind.APP_CREATED, app, change=made)
    await session.flush()
    return membership


async def refuse_taken(session: AsyncSession, email: str) -> None:
    """Refuse an e-mail that has an account. Two who take one at once wait for each other, so one sees the other.

    Raises:
        Conflict: it has one.
    """
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
