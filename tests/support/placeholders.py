"""What the placeholders in the variables of graphql-examples stand for: things made for one run of one example."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from core.clock import now
from core.database import transaction
from core.ids import new_id
from domain import auth, in_app_messages
from domain.in_app_messages import Draft
from domain.principals import Caller
from models.broadcasts import (
    Broadcast,
    BroadcastChunk,
    BroadcastRecipient,
    BroadcastStatus,
    ChunkStatus,
    RecipientStatus,
)
from models.contacts import Contact
from models.devices import Device
from models.sessions import UserSession
from tests.support import factories
from tests.support.factories import PASSWORD, Team

USER_ID = "customer-1"


@dataclass(frozen=True)
class Scene:
    """An app with one person and one contact, who has one device, on which one message waits."""

    team: Team
    contact_id: UUID
    device_id: UUID
    message_id: UUID


Maker = Callable[[Scene], Awaitable[str]]


async def scene(team: Team) -> Scene:
    """The scene of one example."""
    (device_id,) = await factories.contacts(team.app_id, 1)
    key = f"t{new_id()}:{device_id}"
    async with transaction() as session:
        contact_id = await session.scalar(sa.select(Device.contact_id).where(Device.id == device_id))
        await session.execute(sa.update(Contact).where(Contact.id == contact_id).values(external_id=USER_ID))
        await in_app_messages.store(session, team.app_id, [Draft(key, device_id, "Hello", "World", None)])
    return Scene(team, contact_id, device_id, in_app_messages.message_id(key))


async def filled(value: Any, stage: Scene) -> Any:
    """`value` with what each placeholder in it stands for."""
    if isinstance(value, dict):
        return {name: await filled(one, stage) for name, one in value.items()}
    if isinstance(value, list):
        return [await filled(one, stage) for one in value]
    return await PLACEHOLDERS[value](stage) if value in placeholders(value) else value


def placeholders(value: Any) -> set[str]:
    """The placeholders in `value`."""
    if isinstance(value, dict):
        return placeholders(list(value.values()))
    if isinstance(value, list):
        return set().union(*map(placeholders, value))
    return {value} if isinstance(value, str) and value.startswith("$") else set()


async def _email(stage: Scene) -> str:
    return stage.team.email


async def _new_email(_stage: Scene) -> str:
    return f"{new_id()}@example.com"


async def _password(_stage: Scene) -> str:
    return PASSWORD


async def _refresh_token(stage: Scene) -> str:
    caller = Caller("127.0.0.1", "tests")
    return (await auth.sign_in(caller, email=stage.team.email, password=PASSWORD)).refresh_token


async def _session_id(stage: Scene) -> str:
    async with transaction() as session:
        return str(await session.scalar(sa.select(UserSession.id).where(UserSession.user_id == stage.team.user_id)))


async def _contact_id(stage: Scene) -> str:
    return str(stage.contact_id)


async def _user_id(_stage: Scene) -> str:
    return USER_ID


async def _message_id(stage: Scene) -> str:
    return str(stage.message_id)


async def _instant(_stage: Scene) -> str:
    return (now() + timedelta(days=1)).isoformat()


async def _draft(stage: Scene) -> str:
    return str((await factories.broadcast(stage.team)).id)


async def _sending(stage: Scene) -> str:
    return await _started(stage, BroadcastStatus.SENDING, ChunkStatus.READY, RecipientStatus.PENDING)


async def _paused(stage: Scene) -> str:
    return await _started(stage, BroadcastStatus.PAUSED, ChunkStatus.READY, RecipientStatus.PENDING)


async def _sent(stage: Scene) -> str:
    return await _started(stage, BroadcastStatus.SENT, ChunkStatus.DONE, RecipientStatus.SENT)


async def _started(stage: Scene, status: BroadcastStatus, chunk: ChunkStatus, recipient: RecipientStatus) -> str:
    """A broadcast to the device. No clock ever finds its chunk due, so it stays as it is until somebody acts."""
    made = {"status": status, "sent_at": now(), "expanded_at": now(), "total_recipients": 1}
    row = Broadcast(id=new_id(), app_id=stage.team.app_id, title="Hello", body="World", target_type="ALL_USERS", **made)
    to = {"contact_id": stage.contact_id, "device_id": stage.device_id, "platform": "IOS"}
    async with transaction() as session:
        session.add(row)
        await session.flush()
        session.add(BroadcastRecipient(broadcast_id=row.id, seq=1, status=recipient, **to))
        session.add(BroadcastChunk(broadcast_id=row.id, no=1, lo_seq=1, hi_seq=1, status=chunk))
    return str(row.id)


PLACEHOLDERS: dict[str, Maker] = {
    "$email": _email,
    "$newEmail": _new_email,
    "$password": _password,
    "$refreshToken": _refresh_token,
    "$sessionId": _session_id,
    "$contactId": _contact_id,
    "$userId": _user_id,
    "$messageId": _message_id,
    "$instantInTheFuture": _instant,
    "$draftBroadcastId": _draft,
    "$sendingBroadcastId": _sending,
    "$pausedBroadcastId": _paused,
    "$sentBroadcastId": _sent,
}
