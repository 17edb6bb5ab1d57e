"""Things to test with: made by the product's rules where one is under test, inserted in bulk where many are needed."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from core.clock import now
from core.database import transaction
from core.ids import new_id
from domain import apps, devices, sessions
from domain.broadcasts import expansion
from domain.permissions import Permission
from domain.principals import Caller, Principal
from models.broadcasts import Broadcast, BroadcastStatus, TargetType
from models.contacts import Contact
from models.devices import Device, Platform
from models.team import AdminUser, Membership, Role

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Team:
    """An app with one person in it, signed in."""

    app_id: UUID
    user_id: UUID
    email: str
    token: str


async def team(role: Role = Role.OWNER, app_id: UUID | None = None) -> Team:
    """A person with `role` in an app, a new one unless given."""
    email = f"{new_id()}@example.com"
    async with transaction() as session:
        if app_id is None:
            member = await apps.create(session, name="Acme", email=email, password=PASSWORD, owner_name="Ada")
            member.role = role
        else:
            user = AdminUser(id=new_id(), email=email, name="Bob", password_hash="-")
            session.add(user)
            await session.flush()
            member = Membership(app_id=app_id, user_id=user.id, role=role)
            session.add(member)
            await session.flush()
        signed_in = await sessions.start(session, member, Caller("127.0.0.1", "tests"))
    return Team(member.app_id, member.user_id, email, signed_in.access_token)


async def contacts(app_id: UUID, count: int, platform: Platform = Platform.IOS) -> list[UUID]:
    """`count` contacts with one device each; the devices' ids, in order."""
    people = [new_id() for _ in range(count)]
    reached = [new_id() for _ in range(count)]
    at = now()
    async with transaction() as session:
        await session.execute(
            sa.insert(Contact),
            [
                {"id": one, "app_id": app_id, "external_id": f"user-{no}", "name": f"User {no}", "created_at": at}
                for no, one in enumerate(people)
            ],
        )
        await session.execute(
            sa.insert(Device),
            [
                {"id": device, "app_id": app_id, "contact_id": person, "platform": platform, "country": "DE"}
                for device, person in zip(reached, people, strict=True)
            ],
        )
    return reached


async def devices_of(app_id: UUID, contact_id: str, count: int) -> None:
    """`count` devices of one contact."""
    one = {"app_id": app_id, "contact_id": UUID(contact_id), "platform": Platform.WEB}
    async with transaction() as session:
        await session.execute(sa.insert(Device), [{"id": new_id(), **one} for _ in range(count)])


async def device_token(device_id: UUID) -> str:
    """A token of a device."""
    async with transaction() as session:
        return devices.token((await session.scalars(sa.select(Device).where(Device.id == device_id))).one())


def principal(team: Team) -> Principal:
    """The person of `team`, as the rules see them."""
    return Principal(
        app_id=team.app_id,
        permissions=frozenset(Permission),
        expires_at=now() + timedelta(hours=1),
        user_id=team.user_id,
    )


async def broadcast(team: Team, **fields: Any) -> Broadcast:
    """A draft to everybody."""
    row = Broadcast(
        id=new_id(), app_id=team.app_id, title="Hello", body="World", target_type=TargetType.ALL_USERS, **fields
    )
    async with transaction() as session:
        session.add(row)
    return row


async def sending(team: Team, recipients: int) -> Broadcast:
    """A broadcast whose recipients are written and whose chunks wait; no worker knows of it."""
    await contacts(team.app_id, recipients)
    return await expanded(team)


async def expanded(team: Team) -> Broadcast:
    """A broadcast to the contacts there are, with its recipients written and its chunks waiting."""
    row = await broadcast(team, status=BroadcastStatus.SENDING, sent_at=now())
    more = True
    while more:
        async with transaction() as session:
            more = await expansion.expand_slice(session, row.id)
    return row
