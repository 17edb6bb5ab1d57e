"""The queue of the conversations that nobody answers: the most urgent first, then who has waited longest."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.database import transaction
from domain import presence
from domain.conversations.assignment import agents, settings
from domain.conversations.assignment.giving import give, take_away
from domain.conversations.standing import tell
from domain.principals import SYSTEM
from models.apps import App
from models.assignment import Assignment, AssignmentMode, AssignmentReason
from models.conversations import URGENCY, Conversation, ConversationStatus
from models.facts import FactKind
from models.team import Membership

AT_ONCE = 100
SPARE = 20
"""So many more are looked at than can be given: some may not go to whom they come from."""
APPS_AT_ONCE = 50


def queued(app_id: UUID, most: int) -> sa.Select[Conversation]:
    """What comes first in the queue, locked; what somebody else has locked is passed over."""
    waiting = sa.select(Conversation).where(Conversation.app_id == app_id, Conversation.queued_at.is_not(None))
    ordered = waiting.order_by(URGENCY, Conversation.waiting_since, Conversation.id).limit(most)
    return ordered.with_for_update(skip_locked=True, key_share=True)


async def drain(session: AsyncSession, app_id: UUID) -> int:
    """Give what waits to who is free, 100 at most; returns how many were given.

    Who gave a conversation back, or had it taken away by hand, does not get it again from here.
    """
    app = await settings.get(session, app_id)
    if app.assignment_mode is AssignmentMode.MANUAL:
        return 0
    pool = await agents.pool(session, app, await presence.online(app_id))
    if not pool.room:
        return 0
    rows = (await session.scalars(queued(app_id, min(pool.room + SPARE, AT_ONCE)))).all()
    refused = await _refused(session, [row.id for row in rows])
    given = 0
    for row in rows:
        if user_id := pool.take(but=refused.get(row.id)):
            await give(session, SYSTEM, row, user_id, AssignmentReason.QUEUE)
            given += 1
    return given


async def _refused(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Who had each conversation last, where it was taken away by hand."""
    newest = (
        sa.select(Assignment).where(Assignment.conversation_id.in_(ids)).ext(distinct_on(Assignment.conversation_id))
    )
    newest = newest.order_by(Assignment.conversation_id, Assignment.id.desc())
    last = newest.subquery()
    rows = sa.select(last.c.conversation_id, last.c.from_id).where(last.c.reason == AssignmentReason.UNASSIGNED)
    return dict((await session.execute(rows.where(last.c.from_id.is_not(None)))).all())


async def tending(session: AsyncSession, after: UUID | None) -> Sequence[UUID]:
    """Apps that assign by themselves, 50 at most, in order of their ids, behind `after`."""
    rows = sa.select(App.id).where(App.assignment_mode != sa.literal_column(f"'{AssignmentMode.MANUAL.value}'"))
    rows = rows.where(App.id > after) if after else rows
    return (await session.scalars(rows.order_by(App.id).limit(APPS_AT_ONCE))).all()


async def tend(app_id: UUID) -> None:
    """What the clock does for an app: note who is gone, queue what waits for them, drain. In its own transactions.

    When nobody knows who is there, nothing is taken from anybody.
    """
    online = await presence.known(app_id)
    async with transaction() as session:
        await note_absent(session, app_id, online)
    if online is None:
        return
    async with transaction() as session:
        await requeue(session, app_id)
    await drain_all(app_id)


async def drain_all(app_id: UUID) -> None:
    """Give what waits to who is free until nothing waits or nobody is. Each hundred has its own transaction."""
    given = 1
    while given:
        async with transaction() as session:
            given = await drain(session, app_id)


async def note_absent(session: AsyncSession, app_id: UUID, online: Collection[UUID] | None) -> None:
    """Note since when each of the team is not there; `online` is None when nobody knows, and then nobody is gone."""
    here = sa.true() if online is None else Membership.user_id.in_(list(online))
    since = Membership.absent_since
    changed = sa.case((here, since.is_not(None)), else_=since.is_(None))
    stale = sa.select(Membership.id).where(Membership.app_id == app_id, changed)
    # members who are being changed are noted the next time: nobody waits here while others wait for them
    held = stale.with_for_update(skip_locked=True, key_share=True)
    values = {"absent_since": sa.case((here, sa.null()), else_=now())}
    noted = sa.update(Membership).where(Membership.id.in_(held)).values(values)
    await session.execute(noted.execution_options(synchronize_session=False))


async def requeue(session: AsyncSession, app_id: UUID) -> int:
    """Queue what waits for an answer of people who are gone for too long, 100 at most; returns how many."""
    app = await settings.get(session, app_id)
    if app.assignment_mode is AssignmentMode.MANUAL or app.requeue_after_minutes is None:
        return 0
    gone = Membership.absent_since <= now() - timedelta(minutes=app.requeue_after_minutes)
    people = (await session.scalars(sa.select(Membership.user_id).where(Membership.app_id == app_id, gone))).all()
    if not people:
        return 0
    waiting = sa.select(Conversation).where(
        Conversation.app_id == app_id,
        Conversation.assignee_id.in_(people),
        Conversation.status == ConversationStatus.OPEN,
        Conversation.waiting_since.is_not(None),
    )
    held = waiting.limit(AT_ONCE).with_for_update(skip_locked=True, key_share=True)
    rows = (await session.scalars(held)).all()
    for row in rows:
        await take_away(session, SYSTEM, row, AssignmentReason.OFFLINE)
        tell(session, SYSTEM, FactKind.CONVERSATION_QUEUED, row)
    return len(rows)
