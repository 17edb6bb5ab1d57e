"""How an answer reaches a contact: each of their devices gets it as an in-app message, which it follows already."""

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from domain import devices, in_app_messages
from domain.in_app_messages import Advance, Draft, ReceiptKind
from domain.messages import receipts
from domain.principals import Author
from models.apps import App
from models.channels import ChannelKind
from models.conversations import Conversation
from models.devices import Device
from models.in_app_messages import InAppMessage
from models.messages import Message, MessageStatus

SHOWN_MOST = 500
_KEY = re.compile(r"m([0-9a-f-]{36}):[0-9a-f-]{36}")


async def reach(session: AsyncSession, conversation: Conversation, row: Message) -> None:
    """Leave a message for the devices of the contact. Its text is cut: a device reads the whole by its id."""
    if row.channel is not ChannelKind.IN_APP:
        return
    title = await session.scalar(sa.select(App.name).where(App.id == row.app_id)) or ""
    data = {"conversationId": str(conversation.id), "messageId": str(row.id)}
    drafts = [
        Draft(_key(row, device_id), device_id, title, row.body[:SHOWN_MOST], data)
        for device_id in await _devices(session, conversation)
    ]
    if drafts:
        await in_app_messages.store(session, row.app_id, drafts)


async def withdraw(session: AsyncSession, conversation: Conversation, row: Message) -> None:
    """Take back what waits for devices: what was deleted is not delivered any more."""
    left = [in_app_messages.message_id(_key(row, device_id)) for device_id in await _devices(session, conversation)]
    gone = sa.delete(InAppMessage).where(InAppMessage.app_id == row.app_id, InAppMessage.id.in_(left))
    await session.execute(gone.execution_options(synchronize_session=False))


async def report(session: AsyncSession, advances: Sequence[Advance], at: datetime) -> None:
    """Move answers on whose in-app messages devices have reported: a message that was opened has been read.

    The conversations are locked first, in the order of their ids, as whoever writes into them does.
    """
    by_device: dict[tuple[UUID, MessageStatus], list[UUID]] = defaultdict(list)
    for one in advances:
        if match := _KEY.fullmatch(one.key):
            status = MessageStatus.DELIVERED if one.report.kind is ReceiptKind.DELIVERED else MessageStatus.READ
            by_device[one.report.device_id, status].append(UUID(match[1]))
    if not by_device:
        return
    await _hold(session, [id_ for ids in by_device.values() for id_ in ids])
    for (device_id, status), ids in by_device.items():
        app_id = sa.select(Device.app_id).where(Device.id == device_id).scalar_subquery()
        own = sa.and_(Message.id.in_(ids), Message.app_id == app_id)
        await receipts.advance(session, Author(f"device:{device_id}"), own, status, at)


async def _hold(session: AsyncSession, message_ids: Sequence[UUID]) -> None:
    named = sa.select(Message.conversation_id).where(Message.id.in_(message_ids))
    rows = sa.select(Conversation.id).where(Conversation.id.in_(named)).order_by(Conversation.id)
    await session.execute(rows.with_for_update(key_share=True))


def _key(row: Message, device_id: UUID) -> str:
    return f"m{row.id}:{device_id}"


async def _devices(session: AsyncSession, conversation: Conversation) -> list[UUID]:
    theirs = (Device.app_id == conversation.app_id, Device.contact_id == conversation.contact_id)
    rows = sa.select(Device.id).where(*theirs, Device.platform.in_(devices.IN_APP)).order_by(Device.id)
    return list(await session.scalars(rows))
