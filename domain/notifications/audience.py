"""Who is told of a fact. Each rule takes all new facts of its kind, so that many cost as many statements as one.

Whoever did it is not told, nor who may not see it or has seen it: that is left to `writing`, which knows the team.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from models.base import Record
from models.conversations import Conversation, ConversationStatus, Direction
from models.facts import Fact
from models.messages import AuthorKind, Message
from models.notifications import NotificationType
from models.team import Membership, Role
from models.webhooks import WebhookStop

CLOSED = (ConversationStatus.RESOLVED, ConversationStatus.SPAM)


@dataclass(frozen=True)
class Told:
    """Something to be told.

    Attributes:
        app_id, actor: of the fact.
        entity_id: what it is about; what happens to the same thing is one notification while that is unread.
        at: when it happened; of a message, its own instant.
        user_id: whom; None: all of the team that may see it.
        role: whom of these; None: whatever they are.
        message_id: who has read so far, or looks at the conversation at this moment, is not told.
    """

    app_id: UUID
    actor: str
    type: NotificationType
    entity_id: UUID
    at: datetime
    user_id: UUID | None = None
    role: Role | None = None
    conversation_id: UUID | None = None
    message_id: UUID | None = None


Rule = Callable[[AsyncSession, Sequence[Fact]], Awaitable[list[Told]]]


class Written(NamedTuple):
    """A message, and the conversation as it is now."""

    id: UUID
    conversation_id: UUID
    at: datetime
    direction: Direction
    is_note: bool
    author_kind: AuthorKind
    mentioned_ids: list[UUID]
    status: ConversationStatus
    assignee_id: UUID | None


async def of_messages(session: AsyncSession, facts: Sequence[Fact]) -> list[Told]:
    """A contact's message is told to who answers, or to all when nobody does; a note to those whom it calls.

    What a person of the team has answered already is told to nobody, nor what goes to a closed conversation.
    """
    known = {fact.entity_id: fact for fact in facts}
    found = await _written(session, list(known))
    answered = _answered(found)
    return [
        Told(
            app_id=known[one.id].app_id,
            actor=known[one.id].actor,
            type=type_,
            entity_id=one.conversation_id,
            at=one.at,
            user_id=user_id,
            conversation_id=one.conversation_id,
            message_id=one.id,
        )
        for one in found
        if one.is_note or one.conversation_id not in answered or one.at > answered[one.conversation_id]
        for type_, user_id in _whom(one)
    ]


async def _written(session: AsyncSession, ids: Sequence[UUID]) -> list[Written]:
    """The conversations stay until the end of the transaction: notifications refer to them."""
    said = (Message.id, Message.conversation_id, Message.created_at, Message.direction, Message.is_note)
    by = (Message.author_kind, Message.mentioned_ids, Conversation.status, Conversation.assignee_id)
    rows = sa.select(*said, *by).join(Conversation, Conversation.id == Message.conversation_id)
    held = rows.where(Message.id.in_(ids)).with_for_update(of=Conversation, read=True, key_share=True)
    return [Written(*row) for row in await session.execute(held)]


def _answered(found: Iterable[Written]) -> dict[UUID, datetime]:
    """Until when a person of the team has answered in each conversation."""
    answers = [one for one in found if not one.is_note and one.author_kind is AuthorKind.USER]
    return {one.conversation_id: one.at for one in sorted(answers, key=lambda one: one.at)}


def _whom(one: Written) -> list[tuple[NotificationType, UUID | None]]:
    if one.is_note:
        return [(NotificationType.MENTION, user_id) for user_id in one.mentioned_ids]
    if one.direction is not Direction.INBOUND or one.status in CLOSED:
        return []
    if one.assignee_id:
        return [(NotificationType.NEW_MESSAGE, one.assignee_id)]
    return [(NotificationType.UNASSIGNED_MESSAGE, None)] if one.status is ConversationStatus.OPEN else []


async def of_assignments(session: AsyncSession, facts: Sequence[Fact]) -> list[Told]:
    """A conversation that is given to somebody is told to them, once, if they have it still."""
    newest = {fact.entity_id: fact for fact in sorted(facts, key=lambda fact: fact.created_at)}
    open_ = sa.select(Conversation.id, Conversation.assignee_id).where(
        Conversation.id.in_(newest), Conversation.assignee_id.is_not(None), Conversation.status.not_in(CLOSED)
    )
    rows = await session.execute(open_.with_for_update(read=True, key_share=True))
    return [
        Told(
            app_id=newest[id_].app_id,
            actor=newest[id_].actor,
            type=NotificationType.CONVERSATION_ASSIGNED,
            entity_id=id_,
            at=newest[id_].created_at,
            user_id=user_id,
            conversation_id=id_,
        )
        for id_, user_id in rows
        if newest[id_].data.get("to") == str(user_id)
    ]


Thing = Callable[[Fact], UUID]


def _itself(fact: Fact) -> UUID:
    return fact.entity_id


def to_maker(type_: NotificationType, model: type[Record], thing: Thing = _itself) -> Rule:
    """What happens to a row of `model` is told to who made it; to the owners when they are out of the team.

    Args:
        type_: of the notification.
        model: what has a `created_by_id`.
        thing: the id of the row that a fact is about.
    """
    table: Any = model

    async def rule(session: AsyncSession, facts: Sequence[Fact]) -> list[Told]:
        there = (Membership.app_id == table.app_id, Membership.user_id == table.created_by_id)
        rows = sa.select(table.id, Membership.user_id).outerjoin(Membership, sa.and_(*there))
        found = await session.execute(rows.where(table.id.in_([thing(fact) for fact in facts])))
        makers: dict[UUID, UUID | None] = dict(found.all())
        return [_simply(type_, fact, thing(fact), makers[thing(fact)]) for fact in facts if thing(fact) in makers]

    return rule


def to_owners(type_: NotificationType, model: type[Record], counts: Callable[[Fact], bool]) -> Rule:
    """What happens to a row of `model`, and `counts`, is told to the owners of the app, if the row is there still."""

    async def rule(session: AsyncSession, facts: Sequence[Fact]) -> list[Told]:
        counting = [fact for fact in facts if counts(fact)]
        rows = sa.select(model.id).where(model.id.in_([fact.entity_id for fact in counting]))
        there = set(await session.scalars(rows))
        return [_simply(type_, fact, fact.entity_id, None) for fact in counting if fact.entity_id in there]

    return rule


def by_itself(fact: Fact) -> bool:
    """Whether a webhook was disabled for what its server does, and not by hand."""
    return fact.data.get("reason") != WebhookStop.MANUAL.value


def workflow_of(fact: Fact) -> UUID:
    """The workflow of an execution: what fails in one workflow is one notification."""
    return UUID(fact.data["workflow_id"])


def _simply(type_: NotificationType, fact: Fact, entity_id: UUID, user_id: UUID | None) -> Told:
    role = None if user_id else Role.OWNER
    return Told(fact.app_id, fact.actor, type_, entity_id, fact.created_at, user_id, role)
