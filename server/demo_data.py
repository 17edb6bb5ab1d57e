"""The data of the demo: a team, contacts with devices, conversations, workflows, broadcasts that nobody has sent."""

import random
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.database import transaction
from core.ids import new_id
from core.security import hash_password
from domain import apps, bulk
from domain.broadcasts import drafts, starting, targets
from domain.permissions import ROLE_PERMISSIONS
from domain.principals import Principal
from models.broadcasts import TargetType
from models.team import AdminUser, Membership, Role
from server.demo_inbox import add_conversations
from server.demo_people import Person, people
from server.demo_workflows import add_workflows

EMAIL = "ada@example.com"
# Known to everybody who reads this: for the demo only, which listens on the loopback address.
PASSWORD = "replyhq-demo-only"  # noqa: S105
APP_NAME = "Acme"
SEED = 7
COLLEAGUES = (("grace@example.com", "Grace Hopper", Role.ADMIN), ("alan@example.com", "Alan Turing", Role.AGENT))
SCHEDULED_AHEAD = timedelta(days=7)
SESSION = timedelta(hours=1)
BETA = "beta"


@dataclass(frozen=True)
class Demo:
    """The owner's sign-in and the app."""

    email: str
    password: str
    app_id: UUID


async def seed() -> Demo:
    """Write the demo's data, all of it or nothing; finds it when it is there already. Takes under a second."""
    async with transaction() as session:
        await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended("demo", 0))))
        app_id = await _existing(session) or await _write(session)
    return Demo(EMAIL, PASSWORD, app_id)


async def _existing(session: AsyncSession) -> UUID | None:
    """The app that the demo's owner owns."""
    owned = sa.select(Membership.app_id).join(AdminUser, AdminUser.id == Membership.user_id)
    return await session.scalar(owned.where(AdminUser.email == EMAIL).order_by(Membership.created_at).limit(1))


async def _write(session: AsyncSession) -> UUID:
    owner = await apps.create(session, name=APP_NAME, email=EMAIL, password=PASSWORD, owner_name="Ada Lovelace")
    for email, name, role in COLLEAGUES:
        await _add_colleague(session, owner.app_id, email, name, role)
    crowd = people(random.Random(SEED))  # noqa: S311 - the same people every time
    ids = await _add_people(session, owner.app_id, crowd)
    testers = [id_ for id_, person in zip(ids, crowd, strict=True) if BETA in person.contact["tags"]]
    await _add_broadcasts(session, _as_principal(owner), testers)
    await add_conversations(session, _as_principal(owner), ids)
    await add_workflows(session, _as_principal(owner), ids)
    return owner.app_id


async def _add_colleague(session: AsyncSession, app_id: UUID, email: str, name: str, role: Role) -> None:
    user = AdminUser(id=new_id(), email=email, name=name, password_hash=await hash_password(PASSWORD))
    session.add(user)
    await session.flush()
    session.add(Membership(app_id=app_id, user_id=user.id, role=role))


async def _add_people(session: AsyncSession, app_id: UUID, crowd: list[Person]) -> list[UUID]:
    ids = await bulk.add_contacts(session, app_id, [person.contact for person in crowd])
    devices = [
        bulk.NewDevice(id_, platform, person.contact["country"], person.app_version)
        for id_, person in zip(ids, crowd, strict=True)
        for platform in person.platforms
    ]
    await bulk.add_devices(session, app_id, devices)
    return ids


def _as_principal(owner: Membership) -> Principal:
    return Principal(
        app_id=owner.app_id,
        permissions=ROLE_PERMISSIONS[owner.role],
        expires_at=now() + SESSION,
        user_id=owner.user_id,
    )


async def _add_broadcasts(session: AsyncSession, owner: Principal, testers: list[UUID]) -> None:
    """A draft to all, a draft to the testers, and one that goes out by itself next week."""
    everybody = targets.target(TargetType.ALL_USERS)
    some = targets.target(TargetType.SPECIFIC_USERS, contact_ids=testers)
    welcome: drafts.Content = {"title": "Welcome to Acme 3", "body": "A new look, and twice as fast."}
    beta: drafts.Content = {"title": "Try the new editor", "body": "You get it first.", "data": {"screen": "editor"}}
    sale: drafts.Content = {"title": "Summer sale", "body": "A third off, this week only.", "data": {"screen": "shop"}}
    await drafts.create(session, owner, welcome, everybody)
    await drafts.create(session, owner, beta, some)
    later = await drafts.create(session, owner, sale, everybody)
    await session.flush()
    when = starting.Schedule(scheduled_at=now() + SCHEDULED_AHEAD, local_at=None, cron=None, time_zone="UTC")
    await starting.schedule(session, owner, later.id, when)
