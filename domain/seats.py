"""Who somebody is in a conversation: of the team, or its contact. For what is told while it happens, and not stored.

Who types says so every few seconds. So what was found is known for half a minute, and the database is left alone.
"""

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.database import transaction
from core.errors import NotFound
from domain import devices
from domain.conversations import standing
from domain.principals import Principal
from models.conversations import Conversation
from models.team import AdminUser

FIELD = "conversationId"
KNOWN_SECONDS = 30.0
KNOWN_MOST = 10_000


class Side(StrEnum):
    """The two who converse."""

    CONTACT = "CONTACT"
    TEAM = "TEAM"


@dataclass(frozen=True)
class Seat:
    """A place in a conversation.

    Attributes:
        actor: `user:<id>` or `device:<id>`.
        side: whose.
        id: the person of the team, or the contact.
        name: of the person of the team, as the contact may read it; empty for the contact.
    """

    conversation_id: UUID
    actor: str
    side: Side
    id: UUID
    name: str = ""


_Known = tuple[float, Seat]
_known: OrderedDict[tuple[UUID, str, UUID], _Known] = OrderedDict()


async def of(principal: Principal, conversation_id: UUID) -> Seat:
    """The place of a person of the team in any conversation of the app; of a device in those of its contact.

    Raises:
        Forbidden: the asker is a program.
        NotFound: there is no such conversation for them.
    """
    key = principal.app_id, principal.actor, conversation_id
    until, seat = _known.get(key, (0.0, None))
    if seat is None or monotonic() >= until:
        async with transaction() as session:
            seat = await _found(session, principal, conversation_id)
        _known[key] = (monotonic() + KNOWN_SECONDS, seat)
        _known.move_to_end(key)
        if len(_known) > KNOWN_MOST:
            _known.popitem(last=False)
    return seat


async def _found(session: AsyncSession, principal: Principal, conversation_id: UUID) -> Seat:
    if principal.device_id:
        return await _of_device(session, principal, conversation_id)
    user_id = principal.person()
    await standing.get(session, principal.app_id, conversation_id, field=FIELD)
    name = await session.scalar(sa.select(AdminUser.name).where(AdminUser.id == user_id))
    return Seat(conversation_id, principal.actor, Side.TEAM, user_id, name or "")


async def _of_device(session: AsyncSession, principal: Principal, conversation_id: UUID) -> Seat:
    device = await devices.get(session, principal.app_id, principal.device())
    theirs = (Conversation.app_id == principal.app_id, Conversation.contact_id == device.contact_id)
    if not await session.scalar(sa.select(Conversation.id).where(Conversation.id == conversation_id, *theirs)):
        raise NotFound("There is no such conversation.", field=FIELD)
    return Seat(conversation_id, principal.actor, Side.CONTACT, device.contact_id)
