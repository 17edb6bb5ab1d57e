"""Attachments get into messages: each into one, by whoever has uploaded it, within a day."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.errors import Conflict, Invalid, NotFound
from domain.principals import Author
from models.attachments import Attachment
from models.messages import Message

MOST = 10
FIELD = "attachmentIds"
ATTACHABLE = timedelta(hours=24)
"""How long an attachment waits for its message."""


async def attach(
    session: AsyncSession, author: Author, message: Message, attachment_ids: Sequence[UUID]
) -> list[Attachment]:
    """Make files of `author` part of a new message, in this order; the fact that tells of the message tells of them.

    Raises:
        Invalid: more than 10, or one twice.
        NotFound: one is not of this app, not this author's, not complete, or older than a day.
        Conflict: one is part of a message already.
    """
    if len(attachment_ids) > MOST or len(set(attachment_ids)) != len(attachment_ids):
        raise Invalid(f"A message has {MOST} attachments at most, each once.", field=FIELD)
    found = await _locked(session, author, message, attachment_ids) if attachment_ids else {}
    for position, id_ in enumerate(attachment_ids):
        if id_ not in found:
            raise NotFound("There is no such attachment of yours. Upload it again.", field=f"{FIELD}.{position}")
        if found[id_].message_id is not None:
            raise Conflict("It is attached to a message already. Upload it again.", field=f"{FIELD}.{position}")
        found[id_].message_id, found[id_].position = message.id, position
    await session.flush()
    return [found[id_] for id_ in attachment_ids]


async def _locked(
    session: AsyncSession, author: Author, message: Message, attachment_ids: Sequence[UUID]
) -> dict[UUID, Attachment]:
    """Those that may be attached. What is older than a day may be going at this moment (see `sweeping`)."""
    own = (Attachment.app_id == message.app_id, Attachment.uploader == author.actor)
    whole = (Attachment.stored_at.is_not(None), Attachment.created_at > now() - ATTACHABLE)
    chosen = sa.select(Attachment).where(Attachment.id.in_(attachment_ids), *own, *whole).order_by(Attachment.id)
    return {row.id: row for row in await session.scalars(chosen.with_for_update())}


async def withdraw(session: AsyncSession, message: Message) -> None:
    """Take the files of a message that is deleted away: nobody can load them any more, and they are swept."""
    theirs = sa.update(Attachment).where(Attachment.app_id == message.app_id, Attachment.message_id == message.id)
    gone = theirs.values(message_id=None, position=None, stored_at=None)
    await session.execute(gone.execution_options(synchronize_session=False))
