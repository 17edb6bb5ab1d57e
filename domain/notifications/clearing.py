"""Taking notifications off people who have seen the thing elsewhere, or of whom it is no business any more."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain.notifications import telling
from domain.notifications.audience import CLOSED
from domain.notifications.table import CLEARING
from domain.principals import SYSTEM, Principal
from models.conversations import Conversation, ConversationRead, Direction
from models.facts import Fact, FactKind
from models.messages import AuthorKind, Message
from models.notifications import Notification, NotificationType

READ: dict[str, Any] = {"grows": False, "unmailed": False}
IN_ORDER = (Notification.user_id, Notification.type, Notification.entity_id, Notification.id)
"""In which rows are locked, as `writing` writes them: nobody waits in a circle."""
_OF_ASSIGNEE = (NotificationType.NEW_MESSAGE, NotificationType.CONVERSATION_ASSIGNED)
_MESSAGES = (NotificationType.NEW_MESSAGE, NotificationType.UNASSIGNED_MESSAGE)


async def settle(session: AsyncSession, facts: Sequence[Fact]) -> None:
    """Mark as read what new facts have settled, by what the conversations are now.

    What somebody has made unread again by hand is left to them.
    """
    touched = {fact.entity_id for fact in facts if fact.kind in CLEARING}
    said = [fact.entity_id for fact in facts if fact.kind is FactKind.MESSAGE_CREATED]
    answered = await _answered(session, said) if said else {}
    if ids := touched | answered.keys():
        await read(session, _settled(ids, answered), SYSTEM.actor)


async def _answered(session: AsyncSession, message_ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """The conversations in which a person of the team has answered with these messages, and when last."""
    answers = sa.and_(
        Message.id.in_(message_ids),
        Message.direction == Direction.OUTBOUND,
        Message.is_note.is_(False),
        Message.author_kind == AuthorKind.USER,
    )
    rows = sa.select(Message.conversation_id, sa.func.max(Message.created_at)).where(answers)
    return dict((await session.execute(rows.group_by(Message.conversation_id))).all())


def _settled(ids: Collection[UUID], answered: dict[UUID, datetime]) -> sa.Select[Any]:
    """The notifications of conversations that are read, closed, answered by the team, or somebody else's by now."""
    pairs = sa.func.unnest(
        sa.cast(list(answered), sa.ARRAY(sa.UUID)),
        sa.cast(list(answered.values()), sa.ARRAY(sa.TIMESTAMP(timezone=True))),
    ).table_valued(sa.column("id", sa.UUID), sa.column("at", sa.TIMESTAMP(timezone=True)))
    answer = pairs.render_derived(name="answer")
    theirs = sa.and_(
        ConversationRead.conversation_id == Notification.conversation_id,
        ConversationRead.user_id == Notification.user_id,
    )
    joined = sa.join(Notification, Conversation, Conversation.id == Notification.conversation_id)
    joined = joined.outerjoin(ConversationRead, theirs).outerjoin(answer, answer.c.id == Conversation.id)
    type_, last_at = Notification.type, Notification.last_at
    settled = sa.or_(
        sa.and_(Notification.message_id.is_not(None), ConversationRead.read_at >= last_at),
        sa.and_(type_ != NotificationType.MENTION, Conversation.status.in_(CLOSED)),
        sa.and_(type_.in_(_OF_ASSIGNEE), Conversation.assignee_id.is_distinct_from(Notification.user_id)),
        sa.and_(type_ == NotificationType.UNASSIGNED_MESSAGE, Conversation.assignee_id.is_not(None)),
        sa.and_(type_.in_(_MESSAGES), answer.c.at >= last_at),
    )
    rows = sa.select(Notification.id).select_from(joined)
    return rows.where(Notification.conversation_id.in_(ids), Notification.grows, settled)


async def seen(session: AsyncSession, principal: Principal, conversation_id: UUID, until: datetime | None) -> None:
    """Mark as read what the asker was told of a conversation that they have before them, up to an instant.

    What they are told at this very moment is left to `settle`, which sees how far they have read.
    """
    theirs = (
        Notification.app_id == principal.app_id,
        Notification.user_id == principal.person(),
        Notification.conversation_id == conversation_id,
        Notification.read_at.is_(None),
    )
    told = sa.select(Notification.id).where(*theirs)
    if until is not None:
        told = told.where(sa.or_(Notification.message_id.is_(None), Notification.last_at <= until))
    await read(session, told, principal.actor)


def any_of(ids: Sequence[UUID]) -> sa.ColumnElement[bool]:
    """These notifications, however many."""
    return Notification.id == sa.any_(sa.cast(list(ids), sa.ARRAY(sa.UUID)))


async def read(session: AsyncSession, ids: sa.Select[Any], actor: str) -> list[UUID]:
    """Mark the unread ones of some notifications as read; returns which these were."""
    unread = ids.where(Notification.read_at.is_(None)).order_by(*IN_ORDER)
    held = (await session.scalars(unread.with_for_update(of=Notification, key_share=True))).all()
    if not held:
        return []
    marked = sa.update(Notification).where(any_of(held))
    columns = (Notification.app_id, Notification.user_id, Notification.id, Notification.in_app)
    written = marked.values(READ | {"read_at": now()}).returning(*columns)
    rows = (await session.execute(written.execution_options(synchronize_session=False))).all()
    telling.changed(session, [(app_id, user_id, id_) for app_id, user_id, id_, in_app in rows if in_app], actor)
    return [id_ for _, _, id_, _ in rows]
