"""Conversations to test with: a contact with a device, and people of the team who answer."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from core.clock import now
from core.database import transaction
from domain import labels
from domain.conversations import standing
from domain.messages import sending
from domain.messages.writing import Draft
from domain.permissions import DEVICE_PERMISSIONS
from domain.principals import Principal
from models.conversations import Conversation
from models.devices import Device
from models.labels import Label
from models.messages import Message
from tests.support import factories
from tests.support.factories import Team


@dataclass(frozen=True)
class Line:
    """A contact with one device, and the team they write to."""

    team: Team
    agent: Principal
    device: Principal
    contact_id: UUID

    async def says(self, body: str = "Hello", key: str | None = None) -> Message:
        """A message of the contact."""
        async with transaction() as session:
            return await sending.say(session, self.device, Draft(body, key))

    async def answers(self, conversation_id: UUID, body: str = "Hi there", key: str | None = None) -> Message:
        """An answer of the agent."""
        async with transaction() as session:
            return await sending.send(session, self.agent, conversation_id, Draft(body, key))

    async def notes(self, conversation_id: UUID, body: str = "Careful") -> Message:
        """A note of the agent."""
        async with transaction() as session:
            return await sending.note(session, self.agent, conversation_id, Draft(body))


async def line(team: Team | None = None) -> Line:
    """A new contact of an app, a new one unless given."""
    team = team or await factories.team()
    (device_id,) = await factories.contacts(team.app_id, 1)
    async with transaction() as session:
        contact_id = await session.scalar(sa.select(Device.contact_id).where(Device.id == device_id))
        # the next contact of this app is to have a name of its own
        await session.execute(sa.text("UPDATE contacts SET external_id = id::text WHERE id = :id"), {"id": contact_id})
    return Line(team, factories.principal(team), device(team, device_id), contact_id)


def device(team: Team, device_id: UUID) -> Principal:
    """A device, as the rules see it."""
    end = now() + timedelta(hours=1)
    return Principal(app_id=team.app_id, permissions=DEVICE_PERMISSIONS, expires_at=end, device_id=device_id)


async def label(team: Team, name: str = "VIP") -> Label:
    """A label of an app."""
    async with transaction() as session:
        return await labels.create(session, factories.principal(team), {"name": name, "colour": "#DC2626"})


async def conversation(team: Team, conversation_id: UUID) -> Conversation:
    """A conversation as it is now."""
    async with transaction() as session:
        return await standing.get(session, team.app_id, conversation_id)


async def message(message_id: UUID) -> Message:
    """A message as it is now."""
    async with transaction() as session:
        return (await session.scalars(sa.select(Message).where(Message.id == message_id))).one()


async def conversations(team: Team) -> list[Conversation]:
    """All of an app, oldest first."""
    async with transaction() as session:
        rows = sa.select(Conversation).where(Conversation.app_id == team.app_id).order_by(Conversation.id)
        return list(await session.scalars(rows))
